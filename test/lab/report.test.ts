import { describe, expect, test } from "vitest";
import { renderReport } from "../../src/lab/report/page.ts";
import { roundUp, ticks } from "../../src/lab/report/scale.ts";
import { sentMessages } from "../../src/lab/report/sent-messages.ts";
import { formatTable } from "../../src/lab/table.ts";
import { FAILED_AT, failureRun, message } from "./recording.ts";

describe("sent messages", () => {
  test("one that the other end recorded has arrived", () => {
    const [sent] = sentMessages([message(0, "a", "sent"), message(2, "b", "received")]);
    expect(sent?.arrivedAt).toBe(FAILED_AT + 2);
  });

  test("one that only its sender recorded is lost", () => {
    const [sent] = sentMessages([message(0, "a", "sent"), message(2, "a", "received")]);
    expect(sent?.arrivedAt).toBeUndefined();
  });

  test("of two equal ones with one arrival, one is lost", () => {
    const messages = [
      message(0, "a", "sent"),
      message(5, "a", "sent"),
      message(6, "b", "received"),
    ];
    expect(sentMessages(messages).filter(({ arrivedAt }) => arrivedAt !== undefined)).toHaveLength(
      1,
    );
  });

  test("an arrival on another path is another message's", () => {
    const elsewhere = message(2, "b", "received", { destination: "2001:db8:1:b::1" });
    const [sent] = sentMessages([message(0, "a", "sent"), elsewhere]);
    expect(sent?.arrivedAt).toBeUndefined();
  });
});

describe("axes", () => {
  test("ticks are round and within the range", () => {
    expect(ticks(-3, 14.2, 10)).toEqual([-2, 0, 2, 4, 6, 8, 10, 12, 14]);
    expect(ticks(-0.31, 0.42, 7)).toEqual([-0.2, 0, 0.2, 0.4]);
  });

  test("an axis ends at 1, 2 or 5 times a power of ten", () => {
    expect([0, 0.03, 1, 1.3, 4.9, 8.4, 51].map(roundUp)).toEqual([1, 0.05, 1, 2, 5, 10, 100]);
  });
});

describe("the report", () => {
  const page = renderReport([failureRun()], 10);

  test("loads nothing from elsewhere", () => {
    expect(page).not.toMatch(/(src|href)=|url\(|@import|<script/);
  });

  test("has a chart with each application and each message", () => {
    for (const application of ["TCP", "UDP", "ffmpeg"])
      expect(page).toContain(`>${application}, host`);
    expect(page.match(/<circle class="message/g)).toHaveLength(7);
    expect(page.match(/<circle class="message [a-z]+ lost"/g)).toHaveLength(1);
  });

  test("has an arrow for each probe of the exploration, in the colour of its kind", () => {
    const arrows = /<g class="(exploring|inboundok|operational)"><title>/g;
    const kinds = [...page.matchAll(arrows)].map(([, kind]) => kind);
    expect(kinds).toEqual(["exploring", "exploring", "operational", "inboundok"]);
  });

  test("says what went wrong, with markup made harmless", () => {
    const run = failureRun();
    const [first, ...others] = run.measurements;
    if (first === undefined) throw new Error("the run has measurements");
    const measurements = [{ ...first, damage: ["<b> & co"] }, ...others];
    const bad = renderReport([{ ...run, measurements }], 10);
    expect(bad).toContain("silent path loss, TCP: &lt;b&gt; &amp; co");
    expect(page).toContain("Every session went on with its data intact.");
  });
});

test("the table has a row per application and names the failure once", () => {
  expect(formatTable([failureRun()])).toMatchInlineSnapshot(`
    "Failure           Application    Interruption  Detection  Exploration  Resumption  Probes  Data intact
    ----------------  -------------  ------------  ---------  -----------  ----------  ------  -----------
    silent path loss  TCP a to b     10.8 s        10.0 s     600 ms       200 ms      4       yes
                      UDP a to b     10.8 s        10.0 s     600 ms       200 ms      4       yes
                      ffmpeg b to a  10.8 s        10.0 s     600 ms       200 ms      4       yes"
  `);
});
