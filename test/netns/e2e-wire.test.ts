import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { decodeDatagram } from "../../src/lab/apps/datagram.ts";
import { inject } from "../../src/lab/failure.ts";
import { startTcp, startUdp } from "../../src/lab/flows.ts";
import { inNamespace, run } from "../../src/lab/shell.ts";
import { addressToBytes } from "../../src/wire/address.ts";
import { untilMoves } from "./support/progress.ts";
import { A_TO_B, A1, A2, B1, B2, ShimLab } from "./support/shim-lab.ts";
import { disableOffloads, tshark, WireCapture, writePackets } from "./support/wire-capture.ts";

const PROTOCOL_TCP = 6;
const PROTOCOL_UDP = 17;
const PROTOCOL_SHIM6 = 140;
const IPV6_HEADER_LENGTH = 40;
const SHIM6_HEADER_LENGTH = 8;
const UDP_HEADER_LENGTH = 8;
const TCP_CHECKSUM_OFFSET = IPV6_HEADER_LENGTH + 16;

const UDP_PORT = 5002;
/** Octets of the lab's datagrams, and how many of them at least go before and after the switch. */
const DATAGRAM_LENGTH = 160;
const DATAGRAMS = 1_000;
const MEGABYTE = 1_000_000;
/** IPv6 header and Ethernet header of a full frame. */
const LONGEST_FRAME = 1514;
/** Configuration of the host that is to answer only. */
const NEVER_INITIATES = "[trigger]\npackets = 1_000_000";
/** What tshark calls a right checksum. */
const GOOD = "1";

describe("what is on the wire", () => {
  let lab: ShimLab;
  let captures: Record<"a1" | "a2" | "b1" | "b2", WireCapture>;
  /** The datagrams of a run without any shim, by number. */
  let plain: Map<number, Buffer>;
  let tagOfA: string;
  let tagOfB: string;

  beforeAll(async () => {
    lab = await ShimLab.open({ shims: [] });
    await disableOffloads(lab.network);
    // Flow labels come from a secret; without them equal datagrams are equal packets.
    for (const host of ["a", "b"]) {
      const setting = "net.ipv6.auto_flowlabels=0";
      await run(inNamespace(lab.network.namespace(host), ["sysctl", "-qw", setting]));
    }
    await recordShimRun();
    plain = await recordPlainRun();
  });

  afterAll(async () => {
    await lab.close();
  });

  function capture(host: string, device: string, name: string): Promise<WireCapture> {
    return WireCapture.start(lab.network, host, device, join(lab.lab.directory, `${name}.pcap`));
  }

  /** All datagrams of the other run again, without shims. */
  async function recordPlainRun(): Promise<Map<number, Buffer>> {
    const sent = [...(await udpPackets(captures.a1)), ...(await restoredDatagrams())];
    const recording = await capture("a", "isp1", "plain");
    const flow = await startUdp(lab.network, { ...A_TO_B, port: UDP_PORT });
    await untilMoves(flow, (1 + Math.max(...sent.map(datagramNumber))) * DATAGRAM_LENGTH);
    await flow.stop();
    await recording.stop();
    const packets = (await recording.packets()).filter((packet) => packet[6] === PROTOCOL_UDP);
    return new Map(packets.map((packet) => [datagramNumber(packet), packet]));
  }

  /** Datagrams and a TCP transfer, with shims; A's ULID goes away on the way. */
  async function recordShimRun(): Promise<void> {
    // Where both ends begin at once, I1 and R2 are all that it takes (RFC 5533 section 7.4).
    await Promise.all([lab.startDaemon("a"), lab.startDaemon("b", NEVER_INITIATES)]);
    captures = {
      a1: await capture("a", "isp1", "a1"),
      a2: await capture("a", "isp2", "a2"),
      b1: await capture("b", "isp1", "b1"),
      b2: await capture("b", "isp2", "b2"),
    };
    const tcp = await startTcp(lab.network, { ...A_TO_B, port: 5001, rate: 2 * MEGABYTE });
    const udp = await startUdp(lab.network, { ...A_TO_B, port: UDP_PORT });
    await lab.untilAll(["a", "b"], "established", 0);
    await untilMoves(udp, DATAGRAMS * DATAGRAM_LENGTH);
    const { at, heal } = await inject(lab.network, {
      kind: "address-deleted",
      host: "a",
      isp: "isp1",
    });
    await lab.untilAll(["a", "b"], "recovered", at);
    await untilMoves(tcp, 2 * MEGABYTE);
    await untilMoves(udp, DATAGRAMS * DATAGRAM_LENGTH);
    tagOfA = (await lab.context("a")).localTag;
    tagOfB = (await lab.context("b")).localTag;
    for (const flow of [tcp, udp]) expect((await flow.stop()).damage).toEqual([]);
    for (const recording of Object.values(captures)) await recording.stop();
    for (const host of ["a", "b"]) await lab.daemon(host).stop();
    await heal();
  }

  test("datagrams before the switch are octet for octet those of plain IPv6", async () => {
    const sent = await udpPackets(captures.a1);
    const received = await udpPackets(captures.b1);
    expect(sent.length).toBeGreaterThanOrEqual(DATAGRAMS);
    expect(received.length).toBeGreaterThanOrEqual(DATAGRAMS);
    for (const packet of sent) expectPlain(packet);
    // The routers between have lowered the hop limit, and done nothing else.
    for (const packet of received) {
      expect(packet[7]).toBe(64 - 1);
      packet[7] = 64;
      expectPlain(packet);
    }
  });

  test("after the switch A's packets carry protocol 140, P=1 and B's tag, between locators", async () => {
    const packets = (await captures.a2.packets()).filter(isShim6Payload);
    const outbound = packets.filter((packet) => hasAddresses(packet, A2, B2));
    const inbound = packets.filter((packet) => hasAddresses(packet, B2, A2));
    expect(outbound.length).toBeGreaterThan(1_000);
    expect(inbound.length).toBeGreaterThan(100);
    expect(outbound.length + inbound.length).toBe(packets.length);
    expect(new Set(outbound.map(tagOf))).toEqual(new Set([tagOfB]));
    expect(new Set(inbound.map(tagOf))).toEqual(new Set([tagOfA]));
  });

  test("no packet of the session goes over the second uplinks without the header", async () => {
    for (const recording of [captures.a2, captures.b2]) {
      const packets = (await recording.packets()).filter(isOfTheSession);
      expect(packets.length).toBeGreaterThan(1_000);
      const bare = packets.filter((packet) => !isShim6Payload(packet));
      expect(bare.map((packet) => packet.toString("hex"))).toEqual([]);
    }
  });

  test("with header and locators taken back, the datagrams are those of plain IPv6", async () => {
    const restored = await restoredDatagrams();
    expect(restored.length).toBeGreaterThanOrEqual(DATAGRAMS);
    for (const packet of restored) expectPlain(packet);
  });

  test("tshark finds the transport checksums right for the ULIDs", async () => {
    const payload = (await captures.a2.packets())
      .filter(isShim6Payload)
      .map((packet) => withPlainZeroChecksum(restore(packet)));
    const file = join(lab.lab.directory, "restored.pcap");
    await writePackets(file, payload);
    const tcp = await tshark(file, "tcp", "frame.number", "tcp.checksum.status");
    const udp = await tshark(file, "udp", "frame.number", "udp.checksum.status");
    expect(tcp.length).toBeGreaterThan(1_000);
    expect(udp.length).toBeGreaterThanOrEqual(DATAGRAMS);
    const bad = [...tcp, ...udp].filter(([, status]) => status !== GOOD);
    const packets = bad.map(([frame]) => payload[Number(frame) - 1]?.toString("hex"));
    expect(packets).toEqual([]);
    expect(tcp.length + udp.length).toBe(payload.length);
  });

  test("tshark finds every control message's checksum good", async () => {
    const rows = (
      await Promise.all(
        Object.values(captures).map(({ file }) =>
          tshark(file, "shim6.p == 0 and not icmpv6", "shim6.type", "shim6.checksum.status"),
        ),
      )
    ).flat();
    expect(new Set(rows.map(([, status]) => status))).toEqual(new Set([GOOD]));
    // I1, R1, I2, R2 and Probe, each seen at both ends (RFC 5533 table 1).
    for (const type of ["1", "2", "3", "4", "67"]) {
      expect(rows.filter(([seen]) => seen === type).length).toBeGreaterThanOrEqual(2);
    }
  });

  test("nothing exceeds the MTU and nothing is fragmented, though segments are full", async () => {
    for (const { file } of Object.values(captures)) {
      const filter = `frame.len > ${LONGEST_FRAME} or ipv6.fraghdr`;
      expect(await tshark(file, filter, "frame.number")).toEqual([]);
    }
    const lengths = (await captures.a2.packets())
      .filter(isShim6Payload)
      .map(({ length }) => length);
    expect(Math.max(...lengths)).toBeGreaterThan(1_400);
  });

  async function udpPackets(recording: WireCapture): Promise<Buffer[]> {
    return (await recording.packets()).filter((packet) => packet[6] === PROTOCOL_UDP);
  }

  /** What A sent behind the payload header, as its application had sent it. */
  async function restoredDatagrams(): Promise<Buffer[]> {
    return (await captures.a2.packets())
      .filter((packet) => isShim6Payload(packet) && hasAddresses(packet, A2, B2))
      .map((packet) => restore(packet))
      .filter((packet) => packet[6] === PROTOCOL_UDP);
  }

  function expectPlain(packet: Buffer): void {
    const number = datagramNumber(packet);
    const reference = plain.get(number);
    if (reference === undefined) throw new Error(`the plain run is too short: no number ${number}`);
    expect(packet.equals(reference)).toBe(true);
  }
});

function datagramNumber(packet: Buffer): number {
  const number = decodeDatagram(packet.subarray(IPV6_HEADER_LENGTH + UDP_HEADER_LENGTH));
  if (number === undefined) throw new Error(`not a datagram of the lab: ${packet.toString("hex")}`);
  return number;
}

function isShim6Payload(packet: Buffer): boolean {
  return packet[6] === PROTOCOL_SHIM6 && ((packet[IPV6_HEADER_LENGTH + 2] ?? 0) & 0x80) !== 0;
}

function isOfTheSession(packet: Buffer): boolean {
  return packet[6] === PROTOCOL_TCP || packet[6] === PROTOCOL_UDP || isShim6Payload(packet);
}

function hasAddresses(packet: Buffer, source: typeof A2, destination: typeof B2): boolean {
  const pair = Buffer.concat([addressToBytes(source), addressToBytes(destination)]);
  return packet.subarray(8, IPV6_HEADER_LENGTH).equals(pair);
}

/** RFC 5533 section 5.2: the 47 bits behind P. */
function tagOf(packet: Buffer): string {
  const octets = Buffer.from(packet.subarray(IPV6_HEADER_LENGTH + 2, IPV6_HEADER_LENGTH + 8));
  octets[0] = (octets[0] ?? 0) & 0x7f;
  return octets.toString("hex");
}

/**
 * Linux writes a checksum of zero as 0xffff for every protocol, which is the same number in ones'
 * complement; tshark bears with that only in UDP, which demands it.
 */
function withPlainZeroChecksum(packet: Buffer): Buffer {
  if (packet[6] !== PROTOCOL_TCP || packet.readUInt16BE(TCP_CHECKSUM_OFFSET) !== 0xffff) {
    return packet;
  }
  packet.writeUInt16BE(0, TCP_CHECKSUM_OFFSET);
  return packet;
}

/** The packet as it was before the shim, made without the code under test. */
function restore(packet: Buffer): Buffer {
  const [source, destination] = hasAddresses(packet, A2, B2) ? [A1, B1] : [B1, A1];
  const header = Buffer.from(packet.subarray(0, IPV6_HEADER_LENGTH));
  header.writeUInt16BE(header.readUInt16BE(4) - SHIM6_HEADER_LENGTH, 4);
  header[6] = packet[IPV6_HEADER_LENGTH] ?? 0;
  header.set(addressToBytes(source), 8);
  header.set(addressToBytes(destination), 24);
  return Buffer.concat([header, packet.subarray(IPV6_HEADER_LENGTH + SHIM6_HEADER_LENGTH)]);
}
