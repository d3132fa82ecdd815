import { describe, expect, test } from "vitest";
import type { LocalLocator } from "../../../src/core/config.ts";
import { seconds } from "../../../src/core/time.ts";
import { IDENTITY_PRIMITIVES } from "../../../src/daemon/crypto/primitives.ts";
import { recordEndpoint } from "../../../src/sim/replay/recorder.ts";
import { hbaLocators } from "../../core/support/identities.ts";
import { hmac, seededRandom } from "../../core/support/random.ts";
import { World } from "../../core/support/world.ts";
import { newKey } from "../../identity/support/crypto.ts";
import { ABOUT, readTrace, recordScenario, replay } from "./support.ts";

const PREFIXES = ["2001:db8:1:a::/64", "2001:db8:2:a::/64"];
const PEERS = ["2001:db8:1:b::/64", "2001:db8:2:b::/64"];

describe("a recorded run goes the same way again", () => {
  test.each(["paper", "cable", "one-way", "reboot", "rough"])("scenario %s", (name) => {
    const traces = recordScenario(name);

    expect(traces.length).toBeGreaterThan(1);
    for (const trace of traces) {
      const calls = replay(trace);
      const types = new Set(calls.flatMap(({ outputs }) => outputs.map(({ type }) => type)));
      expect(types).toContain("send");
      expect(types).toContain("read-traffic");
    }
  });

  test("with signatures and every kind of command", () => {
    const { lines, locators } = recordCommands();

    const calls = replay(lines, hmac);

    expect(new Set(calls.map(({ call }) => call))).toEqual(
      new Set([
        ...["handleLocalLocators", "open", "handleControl", "handleTraffic", "handleTimeout"],
        ...["fork", "prefer", "pin", "unpin", "explore", "setSendTimeout", "close", "restore"],
        ...["handleHostSuspicion", "handleTrigger", "handleUnknownTag", "handleInboundPayload"],
        ...["handleIcmpError", "survey", "handleTrafficResumed"],
      ]),
    );
    expect(lines.some((line) => line.includes('"signatures"'))).toBe(true);
    expect(locators[0]?.prover?.sign).toBeDefined();
  });

  test("and says how long its outages were", () => {
    const [a = []] = recordScenario("paper");

    const [outage, ...others] = readTrace(a).outages.map((recorded) => recorded.outage);

    expect(others).toEqual([]);
    expect(outage?.cause).toBe("send-timeout");
    expect(outage?.detection).toBeGreaterThan(seconds(10));
    expect(outage?.from.local).not.toBe(outage?.to.local);
  });
});

describe("a trace that does not fit", () => {
  test("another output is named, with the one of the trace", () => {
    const [trace = []] = recordScenario("paper");
    const changed = trace.map((line) => line.replace("send-timeout", "icmp-error"));

    expect(() => replay(changed)).toThrow(/then .*icmp-error.*\nnow .*send-timeout/s);
  });

  test("octets too few or too many are a difference", () => {
    const [[header = "", ...lines] = []] = recordScenario("paper");
    const drawing = lines.findIndex((line) => line.includes('"random"'));
    const without = lines.with(drawing, (lines[drawing] ?? "").replace(/"random":\[[^\]]*\],/, ""));
    const twice = lines.with(
      drawing,
      (lines[drawing] ?? "").replace('"random":[', '"random":["00",'),
    );

    expect(() => replay([header, ...without])).toThrow("random octets");
    expect(() => replay([header, ...twice])).toThrow("random octets");
  });

  test.each([
    ["{}", "this is no trace of l3shim"],
    ["text", "no JSON object"],
    ['{"trace":2}', "the trace's version is 2, and this release reads 1"],
    ['{"trace":1,"l3shim":"0.1.0","wall":0,"at":"x"}', "header.at is not a number"],
  ])("a first line %s", (line, message) => {
    expect(() => replay([line])).toThrow(message);
  });

  test.each([
    ['{"at":1,"call":"poll","polled":[]}', "line.call is not one of"],
    ['{"at":1,"call":"open","args":[{"local":"::1"}],"polled":[]}', "argument 1 of open.peer"],
    ['{"at":1,"call":"handleTimeout","args":[1],"polled":[]}', "too many arguments"],
  ])("a line %s", (line, message) => {
    const [[header = ""] = []] = recordScenario("paper");

    expect(() => replay([header, line])).toThrow(message);
  });
});

/** Two hosts with provable locators; the first one is recorded and given all commands. */
function recordCommands(): { lines: string[]; locators: readonly LocalLocator[] } {
  const world = new World();
  const options = { security: "verified", identity: IDENTITY_PRIMITIVES } as const;
  const locators = hbaLocators(1, PREFIXES, newKey(1024));
  const foreign = hbaLocators(3, ["2001:db8:3:a::/64"]);
  const a = world.host(1, [], options);
  const b = world.host(2, hbaLocators(2, PEERS), options);
  const lines: string[] = [];
  const config = {
    ...{ sendTimeout: seconds(15), contextIdleTimeout: seconds(600), maxContexts: 100 },
    ...{ ...options, random: seededRandom(7), keyedHash: hmac },
  };
  a.endpoint = recordEndpoint(config, ABOUT, (line) => lines.push(line));
  a.setLocators([...locators, ...foreign]);
  const [local = "", peer = ""] = [locators[0]?.address, b.locators[0]?.address];
  a.open(local, peer);
  world.run(seconds(5));
  const [context] = a.endpoint.contexts();
  if (context === undefined) throw new Error("no context");
  const { tag, ulids, locators: pair } = context;
  a.command((endpoint, now) => {
    endpoint.fork(now, tag, { protocol: 17, peerPorts: { first: 1, last: 9 } });
    endpoint.prefer(now, tag, pair);
    endpoint.pin(now, tag, undefined, "strict");
    endpoint.unpin(now, tag);
    endpoint.explore(now, tag);
    endpoint.survey(now, { ulids, pairs: [pair], rounds: 1, interval: seconds(1) });
    endpoint.setSendTimeout(now, seconds(10));
    endpoint.handleHostSuspicion(now, [pair.local], "resumed");
    endpoint.handleTrigger(now, ulids);
    endpoint.handleUnknownTag(now, pair.peer, pair.local, tag);
    endpoint.handleInboundPayload(now, tag, true);
    endpoint.handleTrafficResumed(now, tag);
    endpoint.handleIcmpError(now, pair.peer, new Uint8Array(0));
    endpoint.restore(now, [{ version: 1 }]);
  });
  world.run(seconds(60));
  a.command((endpoint, now) => endpoint.close(now, tag));
  return { lines, locators };
}
