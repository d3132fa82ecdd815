import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { DataPlane, DataPlaneEvents, TriggerPolicy } from "../../src/dataplane/dataplane.ts";
import { monotonicNow } from "../../src/linux/clock.ts";
import { encodeControl } from "../../src/wire/control.ts";
import { IPV6_HEADER_LENGTH, NEXT_HEADER_OFFSET, PROTOCOL_SHIM6 } from "../../src/wire/ipv6.ts";
import { findPayloadHeader } from "../../src/wire/payload.ts";
import { contextTag } from "../../src/wire/tag.ts";
import { describeDrill } from "./dataplane-drill.ts";
import { until } from "./support/namespaces.ts";
import { type LabHost, PlaneLab } from "./support/plane-lab.ts";
import { RecordedEvents } from "./support/recorded-events.ts";

/** Makes a plane of the kind under test whose hooks are in the host's network namespace. */
export type CreatePlane = (host: LabHost, trigger: TriggerPolicy) => DataPlane;

const TRIGGER: TriggerPolicy = { packets: 20, age: undefined };
const TAG_OF_A = contextTag(0x1234_5678_9abc);
const TAG_OF_B = contextTag(0x7edc_ba98_7654);
const PING_LENGTH = 104;
const FULL_MTU = 1500;
const PROTOCOL_TCP = 6;
const PROTOCOL_UDP = 17;

/** What every data plane must do, shown on real packets between two hosts. */
export function describeDataPlane(name: string, create: CreatePlane): void {
  describe(`the data plane ${name}`, () => {
    let lab: PlaneLab;
    let a: DataPlane;
    let b: DataPlane;
    let atA: RecordedEvents;
    let atB: RecordedEvents;

    beforeAll(async () => {
      lab = await PlaneLab.create();
    });

    afterAll(async () => {
      await lab.destroy();
    });

    beforeEach(async () => {
      atA = new RecordedEvents();
      atB = new RecordedEvents();
      a = create(lab.a, TRIGGER);
      b = create(lab.b, TRIGGER);
      await openBoth(atA, atB);
    });

    afterEach(async () => {
      await a.close();
      await b.close();
      expect([...atA.failures, ...atB.failures]).toEqual([]);
    });

    async function openBoth(eventsOfA: DataPlaneEvents, eventsOfB: DataPlaneEvents): Promise<void> {
      await a.open(eventsOfA);
      await b.open(eventsOfB);
    }

    function setContexts(): void {
      a.setContext(TAG_OF_A, lab.pairs(lab.a).ulids);
      b.setContext(TAG_OF_B, lab.pairs(lab.b).ulids);
    }

    function setMappings(): void {
      a.setMapping(TAG_OF_A, { ...lab.pairs(lab.a), peerTag: TAG_OF_B });
      b.setMapping(TAG_OF_B, { ...lab.pairs(lab.b), peerTag: TAG_OF_A });
    }

    /** Maps both directions to the second path and waits until the planes have done it. */
    async function switchBoth(): Promise<void> {
      setContexts();
      setMappings();
      await lab.withoutFirstPath(async () => {
        for (let i = 0; i < 50; i++) if ((await lab.a.ping(lab.b, 1)) === 1) return;
        throw new Error("the mapping has no effect");
      });
    }

    function transfer(octets: number, ...more: number[]): Promise<string> {
      return lab.a.traffic("tcp", lab.a.ulid, lab.b.ulid, octets, ...more).result();
    }

    function datagrams(octets: number, count: number): Promise<string> {
      return lab.a.traffic("udp", lab.a.ulid, lab.b.ulid, octets, count).result();
    }

    describe("in the null mapping", () => {
      test("packets leave and arrive octet by octet as without a plane", async () => {
        const fixedPort = 5000;
        const send = async (): Promise<void> => {
          await lab.a.traffic("udp", lab.a.ulid, lab.b.ulid, 700, 3, fixedPort).result();
        };
        for (const host of [lab.a, lab.b]) {
          await host.run("sysctl", "-qw", "net.ipv6.auto_flowlabels=0");
        }
        setContexts();
        const filter = `udp port ${fixedPort}`;
        const shimmed = await lab.capture(lab.router("isp1"), "a", filter, send);
        await a.close();
        await b.close();
        const plain = await lab.capture(lab.router("isp1"), "a", filter, send);
        expect(plain).toHaveLength(6);
        expect(shimmed).toEqual(plain);
      });

      test("a pair crosses the trigger once, and again when it is armed", async () => {
        const { ulids } = lab.pairs(lab.a);
        await lab.a.ping(lab.b, 9);
        expect(atA.triggers).toEqual([]);
        await lab.a.ping(lab.b, 11);
        expect(atA.triggers).toEqual([ulids]);
        expect(atB.triggers).toEqual([lab.pairs(lab.b).ulids]);
        a.armTrigger(ulids);
        await lab.a.ping(lab.b, 10);
        expect(atA.triggers).toEqual([ulids, ulids]);
        expect(atB.triggers).toHaveLength(1);
      });

      test("a pair with a context does not cross the trigger", async () => {
        setContexts();
        await lab.a.ping(lab.b, 20);
        expect(atA.triggers).toEqual([]);
      });

      test("link-local, multicast and loopback traffic does not count", async () => {
        const options = ["-6", "-c", "25", "-i", "0.005", "-W", "1"];
        await lab.a.start("ping", ...options, "-I", "isp1", "ff02::1").result();
        await lab.a.start("ping", ...options, lab.a.ulid).result();
        await lab.a.start("ping", ...options, "::1").result();
        expect(atA.triggers).toEqual([]);
      });

      test("the traffic of a context is counted and stamped", async () => {
        setContexts();
        const before = monotonicNow();
        expect(await lab.a.ping(lab.b, 3)).toBe(3);
        const after = monotonicNow();
        const traffic = a.traffic(TAG_OF_A);
        expect(traffic).toMatchObject({
          packetsOut: 3,
          packetsIn: 3,
          bytesOut: 3 * PING_LENGTH,
          bytesIn: 3 * PING_LENGTH,
          firstUnansweredOut: undefined,
        });
        expect(traffic?.lastOut).toBeGreaterThan(before);
        expect(traffic?.lastIn).toBeGreaterThanOrEqual(traffic?.lastOut ?? 0);
        expect(traffic?.lastIn).toBeLessThanOrEqual(after);
        expect(traffic?.firstUnansweredIn).toBe(traffic?.lastIn);
        a.markTraffic(TAG_OF_A, "in");
        expect(a.traffic(TAG_OF_A)?.firstUnansweredIn).toBeUndefined();
      });

      test("what leaves without an answer is known since when", async () => {
        setContexts();
        await lab.withoutFirstPath(async () => {
          const before = monotonicNow();
          expect(await lab.a.ping(lab.b, 3, "-W", "0.2")).toBe(0);
          const { firstUnansweredOut, lastOut, lastIn } = a.traffic(TAG_OF_A) ?? {};
          expect(firstUnansweredOut).toBeGreaterThan(before);
          expect(lastOut).toBeGreaterThan(firstUnansweredOut ?? 0);
          expect(lastIn).toBeUndefined();
        });
      });

      test("a watched context reports each inbound payload, an unwatched one none", async () => {
        setContexts();
        await lab.a.ping(lab.b, 2);
        expect(atA.payloads).toEqual([]);
        a.watch(TAG_OF_A, true);
        await lab.a.ping(lab.b, 2);
        expect(atA.payloads).toMatchObject([
          { tag: TAG_OF_A, tagged: false },
          { tag: TAG_OF_A, tagged: false },
        ]);
        a.watch(TAG_OF_A, false);
        await lab.a.ping(lab.b, 2);
        expect(atA.payloads).toHaveLength(2);
      });

      test("payload that goes on is told once, where it was awaited, whichever way it goes", async () => {
        setContexts();
        await lab.a.ping(lab.b, 2);
        expect([...atA.resumed, ...atB.resumed]).toEqual([]);
        a.awaitTraffic(TAG_OF_A);
        b.awaitTraffic(TAG_OF_B);
        await lab.a.ping(lab.b, 3);
        b.awaitTraffic(TAG_OF_B);
        await lab.a.ping(lab.b, 2);
        expect([...atA.resumed, ...atB.resumed]).toEqual([TAG_OF_A, TAG_OF_B, TAG_OF_B]);
      });

      test("a context that was cleared has no traffic record", async () => {
        setContexts();
        a.clearContext(TAG_OF_A);
        expect(a.traffic(TAG_OF_A)).toBeUndefined();
        expect(await lab.a.ping(lab.b, 1)).toBe(1);
      });
    });

    describe("with control messages", () => {
      const bytes = encodeControl({
        type: "I1",
        initiatorContextTag: TAG_OF_A,
        initiatorNonce: 7,
        options: [],
      });

      test("they reach the peer's plane whole, on any locator pair, and are no payload", async () => {
        setContexts();
        a.sendControl(lab.a.ulid, lab.b.ulid, bytes);
        a.sendControl(lab.a.locator, lab.b.locator, bytes);
        await until("two messages", () => atB.controls.length === 2);
        expect(atB.controls).toEqual([
          { source: lab.a.ulid, destination: lab.b.ulid, bytes },
          { source: lab.a.locator, destination: lab.b.locator, bytes },
        ]);
        expect(a.traffic(TAG_OF_A)?.packetsOut).toBe(0);
        expect(b.traffic(TAG_OF_B)?.packetsIn).toBe(0);
      });

      test("they are not rewritten where payload is", async () => {
        await switchBoth();
        a.sendControl(lab.a.ulid, lab.b.ulid, bytes);
        await until("the message", () => atB.controls.length === 1);
        expect(atB.controls[0]).toEqual({ source: lab.a.ulid, destination: lab.b.ulid, bytes });
      });

      test("a host without the shim refuses them with an ICMPv6 error that is reported", async () => {
        await b.close();
        a.sendControl(lab.a.ulid, lab.b.ulid, bytes);
        await until("the error", () => atA.icmpErrors.length > 0);
        const [error] = atA.icmpErrors;
        expect(error?.source).toBe(lab.b.ulid);
        // Parameter Problem, unrecognized Next Header; then our packet.
        expect([...(error?.bytes.subarray(0, 2) ?? [])]).toEqual([4, 1]);
        expect(error?.bytes.subarray(8 + IPV6_HEADER_LENGTH)).toEqual(bytes);
      });
    });

    describeDrill(() => ({ lab, a, b, atA, atB, tagOfA: TAG_OF_A, setContexts, switchBoth }));

    describe("with a mapping", () => {
      beforeEach(switchBoth);

      test("ping, TCP and UDP of all sizes go on over the second path", async () => {
        await lab.withoutFirstPath(async () => {
          expect(await lab.a.ping(lab.b, 5)).toBe(5);
          expect(await lab.b.ping(lab.a, 5)).toBe(5);
          expect(await lab.a.ping(lab.b, 3, "-s", "1452")).toBe(3);
          expect(await lab.a.ping(lab.b, 3, "-s", "4000")).toBe(3);
          expect(await transfer(5_000_000)).toContain("intact");
          for (const octets of [0, 1, 1000, 1440, 1444, 1445, 1452, 1453, 3000, 20_000]) {
            expect(await datagrams(octets, 2)).toContain("intact");
          }
        });
      });

      test("packets carry the payload header, fit the MTU, and TCP is never fragmented", async () => {
        const packets = await lab.capture(lab.router("isp2"), "a", "ip6", async () => {
          await transfer(2_000_000);
          await datagrams(3000, 3);
        });
        const payload = packets.filter((packet) => packet[NEXT_HEADER_OFFSET] === PROTOCOL_SHIM6);
        const headers = payload.map((packet) => findPayloadHeader(packet));
        expect(headers.every(({ ok }) => ok)).toBe(true);
        const tags = new Set(headers.map((header) => (header.ok ? header.value.tag : undefined)));
        expect(tags).toEqual(new Set([TAG_OF_A, TAG_OF_B]));
        const protocols = new Set(
          headers.map((header) => (header.ok ? header.value.nextHeader : undefined)),
        );
        // UDP leaves in fragments behind the Shim6 header; TCP whole.
        expect(protocols).toEqual(new Set([PROTOCOL_TCP, 44]));
        expect(Math.max(...packets.map((packet) => packet.length))).toBe(FULL_MTU);
        const firstPath = await lab.capture(lab.router("isp1"), "a", "ip6 and not icmp6", () =>
          transfer(1000).then(() => undefined),
        );
        expect(firstPath).toEqual([]);
      });

      test("the traffic is counted as the ULP sees it, and watched payload is tagged", async () => {
        const before = a.traffic(TAG_OF_A);
        a.watch(TAG_OF_A, true);
        a.awaitTraffic(TAG_OF_A);
        b.awaitTraffic(TAG_OF_B);
        expect(await lab.a.ping(lab.b, 3)).toBe(3);
        const after = a.traffic(TAG_OF_A);
        expect((after?.packetsOut ?? 0) - (before?.packetsOut ?? 0)).toBe(3);
        expect((after?.packetsIn ?? 0) - (before?.packetsIn ?? 0)).toBe(3);
        expect((after?.bytesIn ?? 0) - (before?.bytesIn ?? 0)).toBe(3 * PING_LENGTH);
        const payload = { tag: TAG_OF_A, tagged: true };
        expect(atA.payloads).toMatchObject([payload, payload, payload]);
        expect([...atA.resumed, ...atB.resumed]).toEqual([TAG_OF_A, TAG_OF_B]);
      });

      test("payload whose tag no context has is dropped and reported", async () => {
        b.clearContext(TAG_OF_B);
        expect(await lab.a.ping(lab.b, 1, "-W", "0.3")).toBe(0);
        expect(atB.unknownTags).toEqual([
          { source: lab.a.locator, destination: lab.b.locator, tag: TAG_OF_B },
        ]);
      });

      test("without the mapping packets go back to the ULIDs", async () => {
        a.clearMapping(TAG_OF_A);
        b.clearMapping(TAG_OF_B);
        expect(await transfer(1_000_000)).toContain("intact");
        const packets = await lab.capture(lab.router("isp1"), "a", "icmp6", async () => {
          await lab.a.ping(lab.b, 2);
        });
        const echoes = packets.filter((packet) => (packet[IPV6_HEADER_LENGTH] ?? 0) >> 1 === 64);
        expect(echoes).toHaveLength(4);
      });

      test("a mapping back to the ULIDs themselves keeps the header", async () => {
        const { ulids } = lab.pairs(lab.a);
        a.setMapping(TAG_OF_A, { ulids, locators: ulids, peerTag: TAG_OF_B });
        const packets = await lab.capture(lab.router("isp1"), "a", "ip6 proto 140", async () => {
          expect(await lab.a.ping(lab.b, 2)).toBe(2);
        });
        expect(packets).toHaveLength(2);
      });

      test("an ICMPv6 error about a rewritten packet reaches the application", async () => {
        const ping = lab.a.start(
          "ping",
          "-6",
          "-c1",
          "-W1",
          "-t",
          "1",
          "-I",
          lab.a.ulid,
          lab.b.ulid,
        );
        await expect(ping.result()).rejects.toThrow("Time exceeded");
      });

      test("ICMPv6 errors that the shim acts on are withheld from the application, and told", async () => {
        const ping = (): Promise<string> =>
          lab.a.start("ping", "-6", "-c1", "-W1", "-t1", "-I", lab.a.ulid, lab.b.ulid).result();
        a.withholdErrors(TAG_OF_A, true);
        atA.icmpErrors.length = 0;
        await expect(ping()).rejects.not.toThrow("Time exceeded");
        expect(atA.icmpErrors.length).toBeGreaterThan(0);
        a.clearMapping(TAG_OF_A);
        atA.icmpErrors.length = 0;
        await expect(ping()).rejects.not.toThrow("Time exceeded");
        expect(atA.icmpErrors.length).toBeGreaterThan(0);
        a.withholdErrors(TAG_OF_A, false);
        await expect(ping()).rejects.toThrow("Time exceeded");
      });

      test("a smaller MTU on the way reaches TCP and UDP", async () => {
        const router = lab.router("isp2");
        const routes = ["2001:db8:2:a::/64 dev a", "2001:db8:2:b::/64 dev b"];
        for (const route of routes) await router.ip6(`route add ${route} metric 1 mtu 1400`);
        try {
          // The first datagram of each direction is lost on finding out.
          await expect(datagrams(1400, 1)).rejects.toThrow();
          await expect(datagrams(1400, 1)).rejects.toThrow();
          expect(await datagrams(1400, 2)).toContain("intact");
          expect(await transfer(3_000_000)).toContain("intact");
          expect(await transfer(3_000_000)).toContain("intact");
        } finally {
          for (const route of routes) await router.ip6(`route del ${route} metric 1`);
        }
      });

      test("sessions survive that the ULID's uplink loses its route", async () => {
        await lab.a.ip6("route del default dev isp1");
        await lab.a.ip6("route flush table 100");
        try {
          expect(await transfer(1_000_000)).toContain("intact");
        } finally {
          await lab.a.ip6("route add default via 2001:db8:1:a::fe dev isp1 metric 1024");
          await lab.a.ip6("route add default via 2001:db8:1:a::fe dev isp1 table 100");
        }
      });
    });

    describe("with a forked context", () => {
      const forkOfA = contextTag(0x0aaa_0000_0001);
      const forkOfB = contextTag(0x0bbb_0000_0001);

      beforeEach(() => {
        setContexts();
        a.setContext(forkOfA, lab.pairs(lab.a).ulids, 7);
        b.setContext(forkOfB, lab.pairs(lab.b).ulids, 7);
        const selector = { protocol: PROTOCOL_UDP };
        a.setMapping(forkOfA, { ...lab.pairs(lab.a), peerTag: forkOfB, selector });
      });

      async function untilSelected(): Promise<void> {
        const start = a.traffic(forkOfA)?.packetsOut ?? 0;
        for (let i = 0; i < 50; i++) {
          await datagrams(100, 1);
          if ((a.traffic(forkOfA)?.packetsOut ?? 0) > start) return;
        }
        throw new Error("the fork carries nothing");
      }

      test("what it selects takes the second path with its tag, all else the first without", async () => {
        await untilSelected();
        const all = "ip6 and not icmp6 or icmp6[0] == 128";
        let second: Uint8Array[] = [];
        const first = await lab.capture(lab.router("isp1"), "a", all, async () => {
          second = await lab.capture(lab.router("isp2"), "a", all, async () => {
            expect(await datagrams(500, 5)).toContain("intact");
            expect(await lab.a.ping(lab.b, 3)).toBe(3);
          });
        });
        expect(second.length).toBeGreaterThanOrEqual(5);
        for (const packet of second) {
          expect(packet[NEXT_HEADER_OFFSET]).toBe(PROTOCOL_SHIM6);
          expect(findPayloadHeader(packet)).toMatchObject({ value: { tag: forkOfB } });
        }
        expect(first.filter((packet) => packet[NEXT_HEADER_OFFSET] === PROTOCOL_SHIM6)).toEqual([]);
        expect(first.filter((packet) => packet[IPV6_HEADER_LENGTH] === 128).length).toBe(3);
      });

      test("each context counts its own", async () => {
        await untilSelected();
        const before = [a.traffic(forkOfA), a.traffic(TAG_OF_A), b.traffic(forkOfB)];
        await datagrams(500, 4);
        await lab.a.ping(lab.b, 3);
        const grown = [a.traffic(forkOfA), a.traffic(TAG_OF_A), b.traffic(forkOfB)].map(
          (now, i) => (now?.packetsOut ?? 0) - (before[i]?.packetsOut ?? 0),
        );
        expect(grown).toEqual([4, 3, 0]);
        expect((b.traffic(forkOfB)?.packetsIn ?? 0) - (before[2]?.packetsIn ?? 0)).toBe(4);
      });
    });

    describe("in the middle of a transfer", () => {
      const rounds = 40;

      async function switchUnderWay(): Promise<void> {
        setContexts();
        const client = lab.a.traffic("tcp", lab.a.ulid, lab.b.ulid, 100_000, rounds, 100);
        await client.said("connected");
        await until("traffic", () => (a.traffic(TAG_OF_A)?.packetsIn ?? 0) > 20);
        await lab.withoutFirstPath(async () => {
          setMappings();
          expect(await client.result()).toContain("intact");
        });
      }

      test("a TCP connection moves to the second path", switchUnderWay);

      test("no packet takes the second path without the header, at any of 20 switches", async () => {
        setContexts();
        const client = lab.a.traffic("tcp", lab.a.ulid, lab.b.ulid, 20_000, 200, 20);
        await client.said("connected");
        const packetsMove = async (): Promise<void> => {
          const start = a.traffic(TAG_OF_A)?.packetsOut ?? 0;
          await until("traffic", () => (a.traffic(TAG_OF_A)?.packetsOut ?? 0) > start + 20);
        };
        const ulids = `ip6 and (host ${lab.a.ulid} or host ${lab.b.ulid})`;
        const second = lab.router("isp2");
        const bare = await lab.capture(second, "a", ulids, async () => {
          for (let i = 0; i < 10; i++) {
            setMappings();
            await packetsMove();
            a.clearMapping(TAG_OF_A);
            b.clearMapping(TAG_OF_B);
            await packetsMove();
          }
        });
        expect(bare.map((packet) => Buffer.from(packet).toString("hex"))).toEqual([]);
        expect(await client.result()).toContain("intact");
      });

      test("it does so through stateful firewalls on both hosts", async () => {
        const ruleset = `
          table ip6 firewall {
            chain input {
              type filter hook input priority filter; policy drop;
              iifname "lo" accept
              ct state invalid counter drop
              ct state established,related accept
              meta l4proto { 140, ipv6-icmp } accept
              tcp dport 4000 ct state new accept
              udp dport 4000 ct state new accept
            }
            chain output {
              type filter hook output priority filter; policy accept;
              ct state invalid counter drop
            }
          }`;
        for (const host of [lab.a, lab.b]) await host.run("nft", ruleset);
        try {
          await switchUnderWay();
          expect(await datagrams(3000, 3)).toContain("intact");
          expect(await lab.a.ping(lab.b, 3)).toBe(3);
        } finally {
          for (const host of [lab.a, lab.b]) await host.run("nft", "delete table ip6 firewall");
        }
      });
    });

    test("closing takes everything back that opening added", async () => {
      await a.close();
      const before = await lab.a.state();
      a = create(lab.a, TRIGGER);
      await a.open(atA);
      await switchBoth();
      expect(await lab.a.state()).not.toEqual(before);
      await a.close();
      expect(await lab.a.state()).toEqual(before);
    });
  });
}
