import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import {
  presentSchemaFiles,
  SCHEMA_DIRECTORY,
  schemaFile,
  schemaFiles,
} from "../../scripts/json-schemas.ts";
import { commandEntries } from "../../src/cli/completion/entries.ts";
import { buildProgram } from "../../src/cli/program.ts";
import { checkJson } from "../cli/json-schemas.ts";

const ROOT = new URL("../..", import.meta.url).pathname;

/** They have --json and print no answer. */
const WITHOUT_ANSWER = ["daemon"];

test("docs/api is what `npm run schemas` makes of the types", () => {
  const present = presentSchemaFiles(ROOT).map((name) => {
    return [name, readFileSync(`${ROOT}${SCHEMA_DIRECTORY}/${name}`, "utf8")] as const;
  });
  expect(Object.fromEntries(present)).toEqual(Object.fromEntries(schemaFiles(ROOT)));
}, 240_000);

test("every command with --json has a schema", async () => {
  const entries = commandEntries(await buildProgram());
  const names = entries
    .filter(({ options }) => options.some((option) => option.names.includes("--json")))
    .map(({ path }) => path.slice(1).join(" "));
  expect(names.length).toBeGreaterThan(20);
  const lacking = names.filter((name) => !presentSchemaFiles(ROOT).includes(schemaFile(name)));
  expect(lacking).toEqual(WITHOUT_ANSWER);
});

test("a value is as its schema says, without anything more", () => {
  checkJson("unpin", { schemaVersion: 1, done: true });
  const check = (value: object) => () => checkJson("unpin", value);
  expect(check({ schemaVersion: 2, done: true })).toThrow("must be equal to constant");
  expect(check({ schemaVersion: 1 })).toThrow("must have required property 'done'");
  const more = { schemaVersion: 1, done: true, more: 1 };
  expect(check(more)).toThrow("must NOT have additional properties");
});
