import { expect, test } from "vitest";
import { measureFalseAlarms } from "../../src/sim/false-alarms.ts";

/** Of all packets; what issue 6 asks for. */
const PROBE_SHARE_MAX = 0.001;

test("adaptive detection moves nothing on a path that lives, and probes less than one in a thousand", () => {
  for (const alarms of measureFalseAlarms(4)) {
    expect(alarms).toMatchObject({ minutes: 40, switches: 0, violations: 0 });
    expect(alarms.packets).toBeGreaterThan(50_000);
    expect(alarms.probes / alarms.packets).toBeLessThan(PROBE_SHARE_MAX);
  }
}, 120_000);
