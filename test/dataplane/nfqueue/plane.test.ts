import { beforeEach, describe, expect, test } from "vitest";
import { DataPlaneError } from "../../../src/dataplane/dataplane.ts";
import { NfqueueDataPlane } from "../../../src/dataplane/nfqueue/plane.ts";
import { SystemError } from "../../../src/linux/system-error.ts";
import { contextTag } from "../../../src/wire/tag.ts";
import {
  EventLog,
  FakeHost,
  HOOK_LOCAL_IN,
  HOOK_LOCAL_OUT,
  HOOK_PREROUTING,
  LOCATORS,
  MAPPING,
  PEER_TAG,
  packetOf,
  TAG,
  ULIDS,
  verdictsOn,
} from "./support/fakes.ts";

const EPERM = 1;
const EBUSY = 16;
const ENETDOWN = 100;
const ENETUNREACH = 101;
const TCP = 6;
const UDP = 17;

describe("the nfqueue plane", () => {
  let host: FakeHost;
  let plane: NfqueueDataPlane;
  let log: EventLog;
  let warnings: string[];

  beforeEach(() => {
    host = new FakeHost();
    log = new EventLog();
    warnings = [];
    plane = new NfqueueDataPlane(
      {
        trigger: { packets: 2, age: undefined },
        backend: "nft",
        inboundHook: "prerouting",
        withholdErrors: true,
        queue: 77,
        warn: (message) => warnings.push(message),
      },
      host.system,
    );
  });

  /** What happened to the host since, without the commands' tables of rules. */
  async function since(action: () => void): Promise<string[]> {
    const start = host.log.length;
    action();
    await new Promise((resolve) => setImmediate(resolve));
    return host.log.slice(start);
  }

  async function outbound(length = 100): Promise<string> {
    const { rewrite } = host.handlers;
    if (rewrite === undefined) throw new Error("not open");
    const payload = packetOf(ULIDS.local, ULIDS.peer, UDP, length);
    const [verdict] = verdictsOn(rewrite, [{ hook: HOOK_LOCAL_OUT, payload }]);
    await new Promise((resolve) => setImmediate(resolve));
    return verdict?.verdict ?? "none";
  }

  const add = "nft: add element ip6 l3shim-rewrite mapped { 2001:db8:1::a . 2001:db8:1::b }";
  const remove = "nft: delete element ip6 l3shim-rewrite mapped { 2001:db8:1::a . 2001:db8:1::b }";

  test("it takes the queue first, and the rules last", async () => {
    await plane.open(log);
    const opened = host.log.filter((line) => !/^nft|^ip6tables/.test(line));
    expect(opened).toEqual(["queue 77", "log 77", "shim6", "icmp6", "routes", "route table"]);
    expect(host.log.at(-1)).toContain("log group 77");
  });

  test("closing removes the routes, then the rules, then the queue, and does nothing the second time", async () => {
    await plane.open(log);
    const closed = await closing();
    expect(closed[0]).toBe("close routes");
    expect(closed[1]).toMatch(/^nft: add table .*delete table/);
    expect(closed.slice(2)).toEqual(["close queue", "close log", "close shim6", "close icmp6"]);
    expect(await closing()).toEqual([]);
  });

  async function closing(): Promise<string[]> {
    const start = host.log.length;
    await plane.close();
    return host.log.slice(start);
  }

  test.each([
    { errno: EPERM, what: "queue 77", remedy: "CAP_NET_ADMIN" },
    { errno: EBUSY, what: "log 77", remedy: "nfqueue.queue" },
    { errno: EPERM, what: "shim6", remedy: "CAP_NET_RAW" },
  ])("when $what is refused it says the remedy and gives all back", async (refusal) => {
    host.fail = (what) => {
      if (what === refusal.what) throw new SystemError(`take ${what}`, "bind", refusal.errno);
    };
    const error = await plane.open(log).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(DataPlaneError);
    expect((error as DataPlaneError).message).toContain(`cannot take ${refusal.what}`);
    expect((error as DataPlaneError).remedy).toContain(refusal.remedy);
    const taken = host.log.filter((line) => !line.startsWith("close")).length;
    expect(host.log.filter((line) => line.startsWith("close"))).toHaveLength(taken);
  });

  test("when no rule can be set nothing stays open", async () => {
    host.fail = (what) => {
      if (what.startsWith("nft: table")) throw new Error("broken");
    };
    await expect(plane.open(log)).rejects.toThrow("broken");
    expect(host.log.slice(-5)).toEqual([
      "close routes",
      "close queue",
      "close log",
      "close shim6",
      "close icmp6",
    ]);
  });

  describe("open", () => {
    beforeEach(async () => {
      await plane.open(log);
    });

    test("a mapping gets a rule, then a route; moving it changes the route only", async () => {
      plane.setContext(TAG, ULIDS);
      const route = `route ${ULIDS.peer} by ${LOCATORS.local}`;
      expect(await since(() => plane.setMapping(TAG, MAPPING))).toEqual([add, route]);
      const back = { ...MAPPING, locators: ULIDS };
      expect(await since(() => plane.setMapping(TAG, back))).toEqual([
        `route ${ULIDS.peer} by ${ULIDS.local}`,
      ]);
      const none = `no route ${ULIDS.peer}`;
      expect(await since(() => plane.clearMapping(TAG))).toEqual([none, remove]);
      expect(await since(() => plane.clearMapping(TAG))).toEqual([]);
    });

    test("that a mapping is in force is told once its route is set, and when it is cleared", async () => {
      plane.setContext(TAG, ULIDS);
      plane.setMapping(TAG, MAPPING);
      expect(log.inForce).toEqual([]);
      await since(() => undefined);
      expect(host.log.at(-1)).toBe(`route ${ULIDS.peer} by ${LOCATORS.local}`);
      expect(log.inForce).toEqual([TAG]);
      await since(() => plane.clearMapping(TAG));
      expect(log.inForce).toEqual([TAG, TAG]);
    });

    test("packets are rewritten from the mapping on, and no more when it is cleared", async () => {
      plane.setContext(TAG, ULIDS);
      expect(await outbound()).toBe("accept");
      plane.setMapping(TAG, MAPPING);
      expect(await outbound()).toBe("replace");
      plane.clearMapping(TAG);
      expect(await outbound()).toBe("accept");
    });

    test("the MTU between the locators decides what fits", async () => {
      host.pathMtu = 1400;
      plane.setContext(TAG, ULIDS);
      plane.setMapping(TAG, MAPPING);
      await outbound(1392);
      expect(host.sent).toEqual([]);
      await outbound(1393);
      expect(host.sent).toMatchObject([{ source: LOCATORS.local, destination: LOCATORS.peer }]);
      expect(plane.counters["fragmented"]).toBe(1);
    });

    test("a mapping whose locators have no route stays, and is told of", async () => {
      plane.setContext(TAG, ULIDS);
      host.fail = (what) => {
        if (what.startsWith("find")) throw new SystemError("find a way", "netlink", ENETUNREACH);
      };
      plane.setMapping(TAG, MAPPING);
      expect(await outbound()).toBe("replace");
      expect(plane.counters["route-failed"]).toBe(1);
      expect(warnings).toMatchObject([expect.stringContaining("cannot find a way")]);
    });

    test("a mapping whose uplink goes before its rule is in force stays, and is told of", async () => {
      plane.setContext(TAG, ULIDS);
      host.fail = (what) => {
        if (what.startsWith("route")) throw new SystemError("set a route", "netlink", ENETDOWN);
      };
      expect(await since(() => plane.setMapping(TAG, MAPPING))).toEqual([add]);
      expect(await outbound()).toBe("replace");
      expect(log.events).toEqual([]);
      expect(warnings).toMatchObject([expect.stringContaining("cannot set a route")]);
    });

    test("clearing a context clears its mapping and forgets its record", async () => {
      plane.setContext(TAG, ULIDS);
      await since(() => plane.setMapping(TAG, MAPPING));
      expect(await since(() => plane.clearContext(TAG))).toContain(remove);
      expect(plane.traffic(TAG)).toBeUndefined();
    });

    describe("with forks", () => {
      const fork = contextTag(99);
      const udp = { ...MAPPING, peerTag: contextTag(98), selector: { protocol: UDP } };
      const tcp = { ...udp, selector: { protocol: TCP } };

      test("what the selector fits leaves on the fork, all else on the default context", async () => {
        plane.setContext(TAG, ULIDS);
        plane.setContext(fork, ULIDS, 7);
        expect(await since(() => plane.setMapping(fork, tcp))).toContain(add);
        expect(await outbound()).toBe("accept");
        plane.setMapping(fork, udp);
        expect(await outbound()).toBe("replace");
        expect(plane.traffic(fork)?.packetsOut).toBe(1);
        expect(plane.traffic(TAG)?.packetsOut).toBe(1);
      });

      test("of two that select a packet the one set last has it", async () => {
        const later = contextTag(100);
        plane.setContext(fork, ULIDS, 7);
        plane.setContext(later, ULIDS, 8);
        plane.setMapping(later, udp);
        plane.setMapping(fork, udp);
        await outbound();
        expect(plane.traffic(later)?.packetsOut).toBe(1);
        await since(() => plane.clearContext(later));
        await outbound();
        expect(plane.traffic(fork)?.packetsOut).toBe(1);
      });

      test("the pair is queued while any of its contexts is mapped", async () => {
        plane.setContext(TAG, ULIDS);
        plane.setContext(fork, ULIDS, 7);
        expect(await since(() => plane.setMapping(TAG, MAPPING))).toContain(add);
        expect(await since(() => plane.setMapping(fork, udp))).not.toContain(add);
        expect(await since(() => plane.clearMapping(TAG))).not.toContain(remove);
        expect(await since(() => plane.clearContext(fork))).toContain(remove);
      });

      test("payload without a tag counts for the default context, whichever came last", () => {
        plane.setContext(TAG, ULIDS);
        plane.setContext(fork, ULIDS, 7);
        const payload = packetOf(ULIDS.peer, ULIDS.local, UDP, 100);
        host.handlers.observe?.([{ hook: HOOK_PREROUTING, payload }]);
        expect(plane.traffic(TAG)?.packetsIn).toBe(1);
        expect(plane.traffic(fork)?.packetsIn).toBe(0);
        plane.clearContext(TAG);
        host.handlers.observe?.([{ hook: HOOK_PREROUTING, payload }]);
        expect(plane.traffic(fork)?.packetsIn).toBe(0);
      });
    });

    test("setting a context anew starts its record anew", () => {
      plane.setContext(TAG, ULIDS);
      plane.setMapping(TAG, MAPPING);
      void outbound();
      expect(plane.traffic(TAG)?.packetsOut).toBe(1);
      plane.setContext(TAG, ULIDS);
      expect(plane.traffic(TAG)?.packetsOut).toBe(0);
    });

    test("control messages go out and come in as they are", () => {
      const bytes = Uint8Array.of(59, 0, 1, 0);
      plane.sendControl(LOCATORS.local, LOCATORS.peer, bytes);
      const addresses = { source: LOCATORS.local, destination: LOCATORS.peer };
      expect(host.sent).toEqual([{ ...addresses, bytes, encapsulated: false }]);
      const message = { source: LOCATORS.peer, destination: LOCATORS.local, interface: 2, bytes };
      host.handlers.control?.(message);
      host.handlers.icmp?.(message);
      expect(log.events).toEqual([
        ["control", LOCATORS.peer, LOCATORS.local, bytes, false],
        ["icmpError", LOCATORS.peer, bytes],
      ]);
    });

    test("a pair triggers once, and again when it is armed", () => {
      const payload = packetOf(ULIDS.local, ULIDS.peer, UDP, 100);
      const see = (times: number): void =>
        host.handlers.observe?.(
          Array.from({ length: times }, () => ({ hook: HOOK_LOCAL_OUT, payload })),
        );
      see(5);
      plane.armTrigger(ULIDS);
      see(2);
      expect(log.events).toEqual([
        ["trigger", ULIDS],
        ["trigger", ULIDS],
      ]);
    });

    test("marking answers what went before, in the direction that it names", async () => {
      plane.setContext(TAG, ULIDS);
      await outbound();
      expect(plane.traffic(TAG)?.firstUnansweredOut).toBe(1000);
      plane.markTraffic(TAG, "in");
      expect(plane.traffic(TAG)?.firstUnansweredOut).toBe(1000);
      plane.markTraffic(TAG, "out");
      expect(plane.traffic(TAG)?.firstUnansweredOut).toBeUndefined();
    });

    test.each(["leaves", "comes in"])(
      "of payload that is awaited, what first %s is told",
      (way) => {
        const [from, to] = way === "leaves" ? [ULIDS.local, ULIDS.peer] : [ULIDS.peer, ULIDS.local];
        const hook = way === "leaves" ? HOOK_LOCAL_OUT : HOOK_LOCAL_IN;
        const payload = packetOf(from, to, UDP, 100);
        const see = () => host.handlers.observe?.([{ hook, payload }]);
        plane.setContext(TAG, ULIDS);
        see();
        expect(log.events).toEqual([]);
        plane.awaitTraffic(TAG);
        see();
        see();
        expect(log.events).toEqual([["trafficResumed", TAG]]);
      },
    );

    test("a rule that cannot be changed ends the plane", async () => {
      host.fail = (what) => {
        if (what === add) throw new Error("somebody flushed the rules");
      };
      plane.setContext(TAG, ULIDS);
      await since(() => plane.setMapping(TAG, MAPPING));
      expect(log.events).toMatchObject([["failed", { message: "somebody flushed the rules" }]]);
    });

    test("the peer of a context is an acquaintance of the control sockets", () => {
      expect(host.acquaintances).toEqual([]);
      plane.setContext(TAG, ULIDS);
      expect(host.acquaintances).toEqual([ULIDS.peer]);
    });

    test("what the kernel dropped because a queue or buffer was full is counted", () => {
      host.overruns = 3;
      expect(plane.counters).toMatchObject({
        "queue-overrun": 3,
        "control-overrun": 4,
        "acquaintances-overrun": 5,
        "strangers-overrun": 6,
      });
    });
  });

  test("nothing is sent while it is closed", () => {
    expect(() => plane.sendControl(ULIDS.local, ULIDS.peer, new Uint8Array(8))).toThrow(
      DataPlaneError,
    );
    expect(plane.traffic(PEER_TAG)).toBeUndefined();
  });
});
