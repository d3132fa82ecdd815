import { afterEach, beforeEach, expect, test } from "vitest";
import { PairTally } from "../../src/cli/pair-tally.ts";
import type { SurveyedPairStatus } from "../../src/daemon/api.ts";
import { A1, A2, B1, B2, Workshop } from "../daemon/fixture.ts";
import { disturb, run } from "./virtual.ts";

let workshop: Workshop;

beforeEach(() => {
  workshop = new Workshop();
});

afterEach(() => workshop.close());

const PAIR = { localLocator: A1, peerLocator: B1 };

function round(
  there: boolean | null,
  back: boolean | null,
  roundTrip?: number,
): SurveyedPairStatus {
  const roundTrips = roundTrip === undefined ? [] : [roundTrip];
  const probes = { probesSent: 1, probesReported: there === true ? 1 : 0 };
  return { ...PAIR, there, back, roundTrips, ...probes, refused: false, sent: 1, echo: null };
}

test("each round says what came of each pair, then all is summed up", async () => {
  const [a, b] = await workshop.createPair();
  disturb([a, b], (from, to) => (from === A1 && to === B2) || (from === B1 && to === A2));
  const { status, stdout } = await run(a, "ping", B1, "--count", "1");
  expect(status).toBe(0);
  expect(stdout).toMatchInlineSnapshot(`
    "1: 2001:db8:a1::a > 2001:db8:b1::b: 0.0 ms
    1: 2001:db8:a1::a > 2001:db8:b2::b: lost on the way there
    1: 2001:db8:a2::a > 2001:db8:b1::b: lost on the way back
    1: 2001:db8:a2::a > 2001:db8:b2::b: 0.0 ms

    PAIR                             SENT  ANSWERED  LOST THERE  LOST BACK  MIN     MEDIAN  MAX
    2001:db8:a1::a > 2001:db8:b1::b     1         1  0 %         0 %        0.0 ms  0.0 ms  0.0 ms
    2001:db8:a1::a > 2001:db8:b2::b     1         0  100 %       not known  -       -       -
    2001:db8:a2::a > 2001:db8:b1::b     1         0  0 %         100 %      -       -       -
    2001:db8:a2::a > 2001:db8:b2::b     1         1  0 %         0 %        0.0 ms  0.0 ms  0.0 ms
    "
  `);
});

test("--json is one object", async () => {
  const [a] = await workshop.createPair();
  const { stdout } = await run(a, "ping", B1, "--count", "1", "--json");
  const reply = JSON.parse(stdout) as { pairs: object[] };
  expect(reply).toMatchObject({ schemaVersion: 1, peer: B1 });
  expect(reply.pairs).toHaveLength(4);
  expect(reply.pairs[0]).toMatchObject({
    ...PAIR,
    sent: 1,
    answered: 1,
    lossThere: 0,
    lossBack: 0,
  });
});

test("a peer that answers nothing is a failure", async () => {
  const [a, b] = await workshop.createPair();
  disturb([a, b], () => true);
  const { status, stdout } = await run(a, "ping", B1, "--count", "1");
  expect(status).toBe(1);
  expect(stdout).toContain(`1: ${A2} > ${B1}: no answer`);
});

test("loss is told by direction, of the rounds that say something about it", () => {
  const tally = new PairTally(PAIR);
  for (const each of [
    round(true, true, 0.02),
    round(true, true, 0.01),
    round(true, true, 0.04),
    round(true, false),
    round(false, null),
  ]) {
    tally.add(each);
  }
  expect(tally.result).toEqual({
    ...PAIR,
    ...{ sent: 5, answered: 3, lossThere: 0.2, lossBack: 0.25 },
    ...{ minimum: 0.01, median: 0.02, maximum: 0.04 },
  });
  expect(new PairTally(PAIR).result).toMatchObject({
    lossThere: null,
    lossBack: null,
    median: null,
  });
});
