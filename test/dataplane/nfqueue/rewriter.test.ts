import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import type { Mapping } from "../../../src/core/output.ts";
import { instant } from "../../../src/core/time.ts";
import { fragmentPacket } from "../../../src/dataplane/fragmentation.ts";
import { PlaneContextTable, pairOctets } from "../../../src/dataplane/nfqueue/context-table.ts";
import { PlaneCounters } from "../../../src/dataplane/nfqueue/counters.ts";
import { Rewriter } from "../../../src/dataplane/nfqueue/rewriter.ts";
import { Oversize } from "../../../src/dataplane/oversize.ts";
import { LOCATOR_MARK } from "../../../src/dataplane/ulid-routes.ts";
import type { OutgoingMessage } from "../../../src/linux/raw-socket.ts";
import { addressFromBytes, addressToBytes } from "../../../src/wire/address.ts";
import { buildIcmpError, buildPacketTooBig, parseIcmpError } from "../../../src/wire/icmp6.ts";
import { addPayloadHeader, findPayloadHeader } from "../../../src/wire/payload.ts";
import { packet as anyPacket, extension, ipv6, upperLayer } from "../../wire/support/packets.ts";
import {
  address,
  EventLog,
  HOOK_LOCAL_OUT,
  HOOK_PREROUTING,
  LOCATORS,
  MAPPING,
  PEER_TAG,
  packetOf,
  reversed,
  TAG,
  ULIDS,
  type Verdict,
  verdictsOn,
} from "./support/fakes.ts";

const TCP = 6;
const UDP = 17;
const ICMPV6 = 58;
const MARK = LOCATOR_MARK;
const ROUTER = address("2001:db8:ffff::1");

/** One host's rewriter with all that it touches. */
class Side {
  readonly contexts = new PlaneContextTable();
  readonly log = new EventLog();
  readonly counters = new PlaneCounters();
  readonly shim6: OutgoingMessage[] = [];
  readonly icmp: OutgoingMessage[] = [];
  readonly warnings: string[] = [];
  failure: Error | undefined;
  readonly rewriter: Rewriter;

  constructor() {
    const sockets = {
      sendShim6: (message: OutgoingMessage) => this.#send(this.shim6, message),
      sendIcmp: (message: OutgoingMessage) => this.#send(this.icmp, message),
      warn: (message: string) => this.warnings.push(message),
    };
    const { contexts, counters, log: events } = this;
    const oversize = new Oversize(sockets, counters, 41);
    this.rewriter = new Rewriter({ contexts, counters, events, oversize, udpPort: 61_140 });
  }

  map(tag: typeof TAG, mapping: Mapping, pathMtu = 1500): void {
    this.contexts.set(tag, mapping.ulids);
    const context = this.contexts.get(tag);
    if (context === undefined) return;
    const addresses = pairOctets(mapping.locators);
    context.mapping = { mapping, addresses, egress: undefined, pathMtu };
  }

  handle(hook: number, ...packets: Uint8Array[]): Verdict[] {
    return verdictsOn(
      (queued, verdicts) => this.rewriter.handleBatch(instant(9), queued, verdicts),
      packets.map((payload) => ({ hook, payload })),
    );
  }

  #send(sent: OutgoingMessage[], message: OutgoingMessage): void {
    if (this.failure !== undefined) throw this.failure;
    sent.push(message);
  }
}

/** The packet as the mapping of the fakes sends it. */
function tagged(packet: Uint8Array, tag = PEER_TAG, locators = LOCATORS): Uint8Array {
  const [source, destination] = [addressToBytes(locators.local), addressToBytes(locators.peer)];
  const rewritten = addPayloadHeader(packet, source, destination, tag);
  if (!rewritten.ok) throw new Error(rewritten.error);
  return rewritten.value;
}

/** What is inside a raw socket's message, as the packet that leaves. */
function asPacket({ source, destination, bytes }: OutgoingMessage): Uint8Array {
  return ipv6(addressToBytes(source), addressToBytes(destination), [upperLayer(140, bytes)]);
}

describe("the rewriter of Shim6 in UDP", () => {
  const IN_UDP = { ...MAPPING, locators: { ...LOCATORS, encapsulated: true } };
  const segment = packetOf(ULIDS.local, ULIDS.peer, TCP, 1000);
  let side: Side;

  beforeEach(() => {
    side = new Side();
  });

  function inUdp(packet: Uint8Array, tag = PEER_TAG, locators = LOCATORS): Uint8Array {
    const [source, destination] = [addressToBytes(locators.local), addressToBytes(locators.peer)];
    const added = addPayloadHeader(packet, source, destination, tag, 61_140);
    if (!added.ok) throw new Error(added.error);
    return added.value;
  }

  test("a mapping in UDP sends in UDP, another one does not", () => {
    side.map(TAG, IN_UDP);
    expect(side.handle(HOOK_LOCAL_OUT, segment)).toMatchObject([{ packet: inUdp(segment) }]);
    side.map(TAG, MAPPING);
    expect(side.handle(HOOK_LOCAL_OUT, segment)).toMatchObject([{ packet: tagged(segment) }]);
  });

  test("payload is taken from it, whatever the mapping", () => {
    side.map(TAG, MAPPING);
    const answer = packetOf(ULIDS.peer, ULIDS.local, TCP, 500);
    const received = inUdp(answer, TAG, reversed(LOCATORS));
    expect(side.handle(HOOK_PREROUTING, received)).toMatchObject([{ packet: answer }]);
    expect(side.contexts.get(TAG)?.traffic.snapshot).toMatchObject({ packetsIn: 1, bytesIn: 500 });
  });

  test("a tag that no context has is reported as from UDP", () => {
    const answer = packetOf(ULIDS.peer, ULIDS.local, TCP, 500);
    expect(side.handle(HOOK_PREROUTING, inUdp(answer, TAG, reversed(LOCATORS)))).toEqual([
      { verdict: "drop" },
    ]);
    expect(side.log.events).toEqual([["unknownTag", LOCATORS.peer, LOCATORS.local, TAG, true]]);
  });

  test("a smaller MTU leaves room for its header, and the ULP hears of 16 octets less", () => {
    side.map(TAG, IN_UDP);
    const quoted = inUdp(segment).subarray(0, 300);
    const local = addressToBytes(LOCATORS.local);
    const message = buildPacketTooBig(addressToBytes(ROUTER), local, 1400, quoted);
    const received = ipv6(addressToBytes(ROUTER), local, [upperLayer(ICMPV6, message)]);
    const [verdict] = side.handle(HOOK_PREROUTING, received);
    expect(side.contexts.get(TAG)?.mapping?.pathMtu).toBe(1392);
    const packet = verdict?.verdict === "replace" ? verdict.packet : new Uint8Array();
    const error = parseIcmpError(packet.subarray(40));
    expect(error.ok && error.value.parameter).toBe(1384);
  });

  test("what does not fit leaves in fragments by the socket for it", () => {
    side.map(TAG, IN_UDP);
    side.handle(HOOK_LOCAL_OUT, packetOf(ULIDS.local, ULIDS.peer, UDP, 3000));
    expect(side.shim6.length).toBeGreaterThan(0);
    expect(side.shim6).toMatchObject(side.shim6.map(() => ({ encapsulated: true })));
  });
});

describe("the rewriter", () => {
  let side: Side;

  beforeEach(() => {
    side = new Side();
  });

  describe("outbound", () => {
    const segment = packetOf(ULIDS.local, ULIDS.peer, TCP, 1000);

    test("a packet of a mapped pair leaves on the locators with the peer's tag and a mark", () => {
      side.map(TAG, MAPPING);
      expect(side.handle(HOOK_LOCAL_OUT, segment)).toEqual([
        { verdict: "replace", packet: tagged(segment), mark: MARK },
      ]);
      expect(side.contexts.get(TAG)?.traffic.snapshot).toMatchObject({
        packetsOut: 1,
        bytesOut: 1000,
        lastOut: 9,
      });
    });

    test("the mark that a packet has stays beside ours", () => {
      side.map(TAG, MAPPING);
      const [verdict] = verdictsOn(
        (queued, verdicts) => side.rewriter.handleBatch(instant(0), queued, verdicts),
        [{ hook: HOOK_LOCAL_OUT, payload: segment, mark: 0x8000_0001 }],
      );
      expect(verdict).toMatchObject({ mark: 0x8000_0001 | MARK });
    });

    test("a packet whose mapping was just cleared leaves as it is, by another route", () => {
      side.contexts.set(TAG, ULIDS);
      expect(side.handle(HOOK_LOCAL_OUT, segment)).toEqual([{ verdict: "accept", mark: MARK }]);
      expect(side.contexts.get(TAG)?.traffic.snapshot.packetsOut).toBe(1);
    });

    test("a truncated packet does not leave", () => {
      side.map(TAG, MAPPING);
      expect(side.handle(HOOK_LOCAL_OUT, segment.subarray(0, 500))).toEqual([{ verdict: "drop" }]);
      expect(side.counters.values["drop-outbound-malformed"]).toBe(1);
    });

    test("TCP that no longer fits is dropped, and told the MTU without the header", () => {
      side.map(TAG, MAPPING);
      const fits = packetOf(ULIDS.local, ULIDS.peer, TCP, 1492);
      const tooBig = packetOf(ULIDS.local, ULIDS.peer, TCP, 1493);
      const verdicts = side.handle(HOOK_LOCAL_OUT, fits, tooBig);
      expect(verdicts.map(({ verdict }) => verdict)).toEqual(["replace", "drop"]);
      expect(side.icmp).toHaveLength(1);
      const [message] = side.icmp;
      expect(message).toMatchObject({ source: ULIDS.local, destination: ULIDS.local });
      const error = parseIcmpError(message?.bytes ?? new Uint8Array(0));
      expect(error.ok && error.value).toMatchObject({ type: 2, code: 0, parameter: 1492 });
      expect(error.ok && error.value.packetInError).toEqual(tooBig.subarray(0, 1232));
      expect(side.contexts.get(TAG)?.traffic.snapshot.packetsOut).toBe(1);
    });

    test("a datagram that no longer fits leaves in fragments behind the Shim6 header", () => {
      side.map(TAG, MAPPING);
      const datagram = packetOf(ULIDS.local, ULIDS.peer, UDP, 4000);
      const [verdict] = side.handle(HOOK_LOCAL_OUT, datagram);
      const fragments = fragmentPacket(datagram, 1492, 42);
      const expected = fragments.ok ? fragments.value.map((each) => tagged(each)) : [];
      expect(expected).toHaveLength(3);
      expect(verdict).toEqual({ verdict: "replace", packet: expected[0], mark: MARK });
      expect(side.shim6.map((message) => asPacket(message).subarray(40))).toEqual(
        expected.slice(1).map((each) => each.subarray(40)),
      );
      expect(side.contexts.get(TAG)?.traffic.snapshot).toMatchObject({ packetsOut: 1 });
    });

    test("TCP is fragmented only where its MTU would fall below 1280", () => {
      side.map(TAG, MAPPING, 1287);
      const [verdict] = side.handle(HOOK_LOCAL_OUT, packetOf(ULIDS.local, ULIDS.peer, TCP, 1280));
      expect(verdict?.verdict).toBe("replace");
      expect(side.shim6).toHaveLength(1);
      expect(side.icmp).toEqual([]);
    });

    test("a fragment that cannot be sent is counted and told of", () => {
      side.map(TAG, MAPPING);
      side.failure = new Error("no route");
      side.handle(HOOK_LOCAL_OUT, packetOf(ULIDS.local, ULIDS.peer, UDP, 2000));
      expect(side.counters.values["send-failed"]).toBe(1);
      expect(side.warnings).toEqual(["a packet did not leave: no route"]);
    });

    test("a large datagram behind a hop-by-hop header is refused: no socket sends that", () => {
      side.map(TAG, MAPPING);
      const [source, destination] = [addressToBytes(ULIDS.local), addressToBytes(ULIDS.peer)];
      const parts = [extension(0, 0), upperLayer(UDP, new Uint8Array(3000))];
      const verdicts = side.handle(HOOK_LOCAL_OUT, ipv6(source, destination, parts));
      expect(verdicts).toEqual([{ verdict: "drop" }]);
      expect(side.icmp).toHaveLength(1);
    });
  });

  describe("inbound", () => {
    const segment = packetOf(ULIDS.peer, ULIDS.local, TCP, 1000);

    test("payload gets its context's ULIDs back, whatever its addresses are", () => {
      side.contexts.set(TAG, ULIDS);
      const stranger = { local: ROUTER, peer: LOCATORS.local };
      expect(side.handle(HOOK_PREROUTING, tagged(segment, TAG, stranger))).toEqual([
        { verdict: "replace", packet: segment, mark: MARK },
      ]);
      expect(side.contexts.get(TAG)?.traffic.snapshot).toMatchObject({
        packetsIn: 1,
        bytesIn: 1000,
        lastIn: 9,
      });
    });

    test("a watched context reports it as tagged", () => {
      side.contexts.set(TAG, ULIDS);
      const context = side.contexts.get(TAG);
      if (context !== undefined) context.watched = true;
      side.handle(HOOK_PREROUTING, tagged(segment, TAG));
      expect(side.log.events).toEqual([["inboundPayload", TAG, true]]);
    });

    test("an unknown tag is dropped and reported", () => {
      expect(side.handle(HOOK_PREROUTING, tagged(segment, TAG, reversed(LOCATORS)))).toEqual([
        { verdict: "drop" },
      ]);
      expect(side.log.events).toEqual([["unknownTag", LOCATORS.peer, LOCATORS.local, TAG, false]]);
    });

    test("a control message behind an extension header passes", () => {
      const control = Uint8Array.from([59, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
      const parts = [extension(60, 0), upperLayer(140, control)];
      const packet = ipv6(addressToBytes(LOCATORS.peer), addressToBytes(LOCATORS.local), parts);
      expect(side.handle(HOOK_PREROUTING, packet)).toMatchObject([{ verdict: "replace", packet }]);
      expect(side.counters.values["passed-control"]).toBe(1);
    });

    test("fragments behind the Shim6 header come out as one packet", () => {
      side.contexts.set(TAG, ULIDS);
      const datagram = packetOf(ULIDS.peer, ULIDS.local, UDP, 3000);
      const fragments = fragmentPacket(datagram, 1492, 5);
      const packets = fragments.ok ? fragments.value.map((each) => tagged(each, TAG)) : [];
      expect(side.handle(HOOK_PREROUTING, ...packets)).toEqual([
        { verdict: "drop" },
        { verdict: "drop" },
        { verdict: "replace", packet: datagram, mark: MARK },
      ]);
      expect(side.counters.values.reassembled).toBe(1);
    });

    test("fragments in front of the Shim6 header come out as one packet, too", () => {
      side.contexts.set(TAG, ULIDS);
      const datagram = packetOf(ULIDS.peer, ULIDS.local, UDP, 3000);
      const fragments = fragmentPacket(tagged(datagram, TAG), 1492, 5);
      const verdicts = side.handle(HOOK_PREROUTING, ...(fragments.ok ? fragments.value : []));
      expect(verdicts.at(-1)).toEqual({ verdict: "replace", packet: datagram, mark: MARK });
    });

    test("no octets raise an error, and each packet gets one verdict", () => {
      side.contexts.set(TAG, ULIDS);
      const payload = fc.oneof(
        fc.uint8Array({ maxLength: 200 }),
        anyPacket,
        anyPacket.map((packet) => tagged(packet, TAG)),
      );
      const hook = fc.constantFrom(HOOK_PREROUTING, HOOK_LOCAL_OUT);
      fc.assert(
        fc.property(hook, fc.array(payload, { maxLength: 5 }), (at, packets) => {
          expect(side.handle(at, ...packets)).toHaveLength(packets.length);
        }),
      );
    });
  });

  test("what one host sends is what the other's transport gets", () => {
    fc.assert(
      fc.property(anyPacket, (original) => {
        const sent = original.slice();
        sent.set(addressToBytes(ULIDS.local), 8);
        sent.set(addressToBytes(ULIDS.peer), 24);
        const receiver = new Side();
        side.map(TAG, MAPPING, 9000);
        receiver.contexts.set(PEER_TAG, reversed(ULIDS));
        const [out] = side.handle(HOOK_LOCAL_OUT, sent);
        if (out?.verdict !== "replace") return; // malformed: covered elsewhere
        const header = findPayloadHeader(out.packet);
        // Fragments are held until they are whole.
        if (!header.ok || header.value.nextHeader === 44) return;
        expect(receiver.handle(HOOK_PREROUTING, out.packet)).toMatchObject([{ packet: sent }]);
      }),
    );
  });

  describe("with ICMPv6 errors", () => {
    const segment = packetOf(ULIDS.local, ULIDS.peer, TCP, 1400);

    function error(message: Uint8Array): Uint8Array {
      const [source, destination] = [addressToBytes(ROUTER), addressToBytes(LOCATORS.local)];
      return ipv6(source, destination, [upperLayer(ICMPV6, message)]);
    }

    function packetTooBig(mtu: number, quoted = tagged(segment)): Uint8Array {
      return error(
        buildPacketTooBig(addressToBytes(ROUTER), addressToBytes(LOCATORS.local), mtu, quoted),
      );
    }

    test("an error about a rewritten packet speaks to the ULP of the ULP's packet", () => {
      side.map(TAG, MAPPING);
      const [source, locator] = [addressToBytes(ROUTER), addressToBytes(LOCATORS.local)];
      const fields = { type: 1, code: 0, parameter: 0 };
      const [verdict] = side.handle(
        HOOK_PREROUTING,
        error(buildIcmpError(source, locator, fields, tagged(segment))),
      );
      const ulid = addressToBytes(ULIDS.local);
      const expected = buildIcmpError(source, ulid, fields, segment).subarray(8, -8);
      expect(verdict?.verdict).toBe("replace");
      const packet = verdict?.verdict === "replace" ? verdict.packet : new Uint8Array(0);
      expect(addressFromBytes(packet, 24)).toBe(ULIDS.local);
      expect(packet.subarray(48)).toEqual(expected);
    });

    describe("that the shim acts on", () => {
      const plainSegment = packetOf(ULIDS.local, ULIDS.peer, TCP, 1400);

      function unreachable(code: number, quoted: Uint8Array, at = LOCATORS.local): Uint8Array {
        const [source, destination] = [addressToBytes(ROUTER), addressToBytes(at)];
        const message = buildIcmpError(
          source,
          destination,
          { type: 1, code, parameter: 0 },
          quoted,
        );
        return ipv6(source, destination, [upperLayer(ICMPV6, message)]);
      }

      function withhold(on: boolean): void {
        const context = side.contexts.get(TAG);
        if (context !== undefined) context.withholding = on;
      }

      test("is dropped while they are withheld, about a rewritten packet", () => {
        side.map(TAG, MAPPING);
        withhold(true);
        const packet = unreachable(0, tagged(segment));
        expect(side.handle(HOOK_PREROUTING, packet)).toEqual([{ verdict: "drop" }]);
        // The shim hears of it as it came, with the locators.
        expect(side.log.events).toEqual([["icmpError", ROUTER, packet.subarray(40)]]);
        expect(side.counters.values["withheld-icmp-error"]).toBe(1);
      });

      test("is dropped while they are withheld, about an unchanged packet", () => {
        side.contexts.set(TAG, ULIDS);
        withhold(true);
        const packet = unreachable(3, plainSegment, ULIDS.local);
        expect(side.handle(HOOK_PREROUTING, packet)).toEqual([{ verdict: "drop" }]);
        expect(side.log.events).toEqual([["icmpError", ROUTER, packet.subarray(40)]]);
      });

      test("passes when nothing is withheld, and is told all the same where it was translated", () => {
        side.map(TAG, MAPPING);
        const [rewritten] = side.handle(HOOK_PREROUTING, unreachable(0, tagged(segment)));
        expect(rewritten?.verdict).toBe("replace");
        expect(side.log.events).toHaveLength(1);
        const plain = unreachable(0, plainSegment, ULIDS.local);
        expect(side.handle(HOOK_PREROUTING, plain)).toEqual([{ verdict: "accept" }]);
        // The ICMPv6 socket reads this one.
        expect(side.log.events).toHaveLength(1);
      });

      test("port unreachable and Packet Too Big always pass", () => {
        side.map(TAG, MAPPING);
        withhold(true);
        const verdicts = side.handle(
          HOOK_PREROUTING,
          unreachable(4, tagged(segment)),
          packetTooBig(1400),
          unreachable(4, plainSegment, ULIDS.local),
        );
        expect(verdicts.map(({ verdict }) => verdict)).toEqual(["replace", "replace", "accept"]);
      });
    });

    test("Packet Too Big lowers the path's MTU for what follows", () => {
      side.map(TAG, MAPPING);
      side.handle(HOOK_PREROUTING, packetTooBig(1400));
      expect(side.contexts.get(TAG)?.mapping?.pathMtu).toBe(1400);
      side.handle(HOOK_LOCAL_OUT, segment);
      expect(side.icmp).toHaveLength(1);
    });

    test("Packet Too Big never raises it, and never lowers it below 1280", () => {
      side.map(TAG, MAPPING);
      side.handle(HOOK_PREROUTING, packetTooBig(9000), packetTooBig(600));
      expect(side.contexts.get(TAG)?.mapping?.pathMtu).toBe(1500);
    });

    test("an error about another tag or another peer's packet passes as it is", () => {
      side.map(TAG, MAPPING);
      const elsewhere = { local: LOCATORS.local, peer: ROUTER };
      const verdicts = side.handle(
        HOOK_PREROUTING,
        packetTooBig(1400, tagged(segment, TAG)),
        packetTooBig(1400, tagged(segment, PEER_TAG, elsewhere)),
        packetTooBig(1400, segment),
      );
      expect(verdicts).toEqual([
        { verdict: "accept" },
        { verdict: "accept" },
        { verdict: "accept" },
      ]);
      expect(side.contexts.get(TAG)?.mapping?.pathMtu).toBe(1500);
    });
  });
});
