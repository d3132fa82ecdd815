import { expect, test } from "vitest";
import { labReply } from "../../src/cli/lab.ts";
import { failureRun } from "../lab/recording.ts";
import { checkJson } from "./json-schemas.ts";

test.each(["lab paper", "lab home"])("what %s prints as JSON is as its schema says", (command) => {
  const printed: unknown = JSON.parse(JSON.stringify(labReply([failureRun()])));
  expect(printed).toMatchObject({ problems: [], runs: [{ title: "silent path loss" }] });
  checkJson(command, printed);
});

test("a session that did not survive is among the problems", () => {
  const run = failureRun();
  const measurements = run.measurements.map((each) => ({ ...each, damage: ["2 octets lost"] }));
  expect(labReply([{ ...run, measurements }]).problems).toHaveLength(measurements.length);
});
