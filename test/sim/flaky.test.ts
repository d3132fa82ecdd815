import { describe, expect, test } from "vitest";
import { Endpoint } from "../../src/core/endpoint.ts";
import { seconds } from "../../src/core/time.ts";
import { simulate } from "../../src/sim/simulation.ts";
import { lines, named } from "./support/runs.ts";

const FLAKY = named("flaky");

describe("an uplink that is dead for 3 of every 10 seconds, with fail-back", () => {
  test.each([1, 2, 3])(
    "gets sessions back rarely, and for good once it is well, seed %i",
    (seed) => {
      const result = simulate(FLAKY, { seed, trace: true });
      expect(result.violation).toBeUndefined();
      for (const host of ["a", "b"]) {
        const switches = lines(result, ` ${host} switched`);
        // Of 60 times that it works again: after 30, 60, 120, 240 and 480 s, and in the end.
        expect(switches.filter((line) => line.endsWith("by fail-back")).length).toBeLessThanOrEqual(
          6,
        );
        expect(switches.at(-1)).toMatch(/2001:db8:1:\d::1 2001:db8:1:\d::1 by fail-back/);
      }
    },
  );

  test("is caught where its sessions follow it each time", () => {
    const failBack = { hold: seconds(3), maxHold: seconds(3) };
    const makeEndpoint = (config: ConstructorParameters<typeof Endpoint>[0]): Endpoint =>
      new Endpoint({ ...config, failBack });
    const { violation } = simulate(FLAKY, { seed: 1, makeEndpoint });
    expect(violation?.invariant).toBe("returns-damped");
  });

  test.each([13, 20])(
    "a report that crosses the end of an exploration moves nobody, seed %i",
    (seed) => {
      const result = simulate(FLAKY, { seed, trace: true });
      for (const host of ["a", "b"]) {
        const steps = lines(result, ` ${host} `)
          .map((line) =>
            /exploring [0-9a-f]{12}|inboundok [0-9a-f]|recovered|by exploration/.exec(line),
          )
          .flatMap((step) => step?.[0].split(" ")[0] ?? []);
        const late = steps.filter((step, i) => step === "by" && steps[i - 1] === "recovered");
        expect({ host, late }).toEqual({ host, late: [] });
      }
    },
  );
});
