import { expect, test } from "vitest";
import type { EndpointConfig } from "../../src/core/config.ts";
import { Endpoint } from "../../src/core/endpoint.ts";
import type { Deadline, Output } from "../../src/core/output.ts";
import { type Instant, seconds } from "../../src/core/time.ts";
import type { Scenario } from "../../src/sim/scenario.ts";
import { shrink } from "../../src/sim/shrink.ts";
import { simulate } from "../../src/sim/simulation.ts";
import type { Address } from "../../src/wire/address.ts";
import { contextTag } from "../../src/wire/tag.ts";
import { named } from "./support/runs.ts";

/** Rewrites the outputs of a sound endpoint; `undefined` swallows one. */
function planted(
  corrupt: (output: Output) => Output | undefined,
): (config: EndpointConfig) => Endpoint {
  class Planted extends Endpoint {
    override poll(): Output | undefined {
      for (;;) {
        const output = super.poll();
        if (output === undefined) return undefined;
        const corrupted = corrupt(output);
        if (corrupted !== undefined) return corrupted;
      }
    }
  }
  return (config) => new Planted(config);
}

const PAPER = named("paper");

function broken(makeEndpoint: (config: EndpointConfig) => Endpoint): string | undefined {
  return simulate(PAPER, { seed: 1, makeEndpoint }).violation?.invariant;
}

test("payload restored to a wrong ULID pair is caught", () => {
  const makeEndpoint = planted((output) =>
    output.type === "set-context"
      ? {
          ...output,
          ulids: { ...output.ulids, peer: "2001:db8:ffff::1" as Address },
        }
      : output,
  );
  const { violation } = simulate(named("cable"), { seed: 1, makeEndpoint });
  expect(violation?.invariant).toBe("payload-to-right-ulids");
});

test("a mapping with another tag than the endpoint's is caught", () => {
  const makeEndpoint = planted((output) =>
    output.type === "set-mapping"
      ? { ...output, mapping: { ...output.mapping, peerTag: contextTag(1) } }
      : output,
  );
  expect(simulate({ ...PAPER, duration: 60 }, { seed: 1, makeEndpoint }).violation?.invariant).toBe(
    "mapping-agrees",
  );
});

test("a data plane record that is never cleared is caught", () => {
  expect(broken(planted((output) => (output.type === "clear-context" ? undefined : output)))).toBe(
    "no-leak",
  );
});

test("a context that outlives its use is caught while the run goes on", () => {
  const phases = { active: 60, silent: 1e9 };
  const scenario: Scenario = {
    ...PAPER,
    ...{ duration: 7200, flows: [{ kind: "udp", from: "a", to: "b", interval: 0.5, phases }] },
  };
  const makeEndpoint = (config: EndpointConfig): Endpoint =>
    new Endpoint({ ...config, contextIdleTimeout: seconds(1e6) });
  const { violation } = simulate(scenario, { seed: 1, makeEndpoint });
  expect(violation?.invariant).toBe("no-leak");
  expect(violation?.at).toBeLessThan(scenario.duration);
});

test("a storm of probes is caught", () => {
  const makeEndpoint = (config: EndpointConfig): Endpoint =>
    new (class extends Endpoint {
      #again: Output[] = [];

      override poll(): Output | undefined {
        const output = this.#again.pop() ?? super.poll();
        if (output?.type === "send" && output.message.type === "Probe" && this.#fresh(output)) {
          this.#again = Array.from({ length: 50 }, () => ({ ...output, storm: true }));
        }
        return output;
      }

      #fresh(output: Output): boolean {
        return !("storm" in output);
      }
    })(config);
  expect(broken(makeEndpoint)).toBe("probes-bounded");
});

test("a flow that does not recover is caught", () => {
  const scenario: Scenario = { ...named("both-ends"), duration: 1500 };
  const makeEndpoint = planted((output) =>
    output.type === "send" && output.message.type === "Probe" ? undefined : output,
  );
  expect(simulate(scenario, { seed: 1, makeEndpoint }).violation?.invariant).toBe("flow-recovers");
});

test("outputs without end are caught", () => {
  const makeEndpoint = (config: EndpointConfig): Endpoint =>
    new (class extends Endpoint {
      override poll(): Output | undefined {
        return super.poll() ?? { type: "clear-context", tag: contextTag(1) };
      }
    })(config);
  expect(broken(makeEndpoint)).toBe("output-bounded");
});

test("a deadline that does not move on is caught", () => {
  const makeEndpoint = (config: EndpointConfig): Endpoint =>
    new (class extends Endpoint {
      override pollTimeout(): Deadline | undefined {
        const deadline = super.pollTimeout();
        return deadline && { ...deadline, at: 0 as Instant };
      }
    })(config);
  expect(broken(makeEndpoint)).toBe("output-bounded");
});

test("an exception is caught, with the run's seed and a trace that ends in it", () => {
  const makeEndpoint = (config: EndpointConfig): Endpoint =>
    new (class extends Endpoint {
      override handleUnknownTag(): void {
        throw new Error("planted");
      }
    })(config);
  const result = simulate(named("reboot"), { seed: 3, trace: true, makeEndpoint });
  expect(result.violation?.invariant).toBe("no-exception");
  expect(result.violation?.message).toContain("planted");
  expect(result.seed).toBe(3);
  expect(result.trace.at(-1)).toContain("VIOLATION no-exception");
});

test("a failing run shrinks to what it needs", () => {
  const extra = ["c", "d", "e"];
  const reboot = named("reboot");
  const scenario: Scenario = {
    ...reboot,
    hosts: [...reboot.hosts, ...extra.map((name) => ({ name, uplinks: 2 }))],
    flows: [...reboot.flows, { kind: "udp", from: "c", to: "d", interval: 1 }],
    failures: [
      ...reboot.failures,
      { type: "partition", hosts: ["c", "d"], at: 10, lasts: 20 },
      { type: "uplink", host: "e", uplink: 1, direction: "up", seen: true, at: 40, lasts: 20 },
    ],
  };
  const makeEndpoint = (config: EndpointConfig): Endpoint =>
    new (class extends Endpoint {
      override handleUnknownTag(): void {
        throw new Error("planted");
      }
    })(config);
  const small = shrink(scenario, { seed: 1, makeEndpoint });
  expect(small.scenario.hosts.map(({ name }) => name)).toEqual(["a", "b"]);
  expect(small.scenario.failures.map(({ type }) => type)).toEqual(["uplink", "reboot"]);
  expect(small.scenario.flows).toHaveLength(1);
  expect(small.scenario.duration).toBeLessThan(reboot.duration);
  expect(small.result.violation?.invariant).toBe("no-exception");
  expect(small.result.trace.length).toBeLessThan(60);
});

test("a sound run has nothing to shrink", () => {
  expect(() => shrink(PAPER, { seed: 1 })).toThrow('"paper" breaks no invariant');
});
