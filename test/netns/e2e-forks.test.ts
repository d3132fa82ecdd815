import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import type { ContextStatus, ForksReply } from "../../src/daemon/api.ts";
import { inject } from "../../src/lab/failure.ts";
import { startTcp, startUdp } from "../../src/lab/flows.ts";
import { poll, waitFor } from "../../src/lab/shell.ts";
import { addressToBytes } from "../../src/wire/address.ts";
import { findPayloadHeader } from "../../src/wire/payload.ts";
import { formatTag } from "../../src/wire/tag.ts";
import { PATIENCE, untilMoves } from "./support/progress.ts";
import { A_TO_B, A1, A2, B1, B2, SEND_TIMEOUT, ShimLab } from "./support/shim-lab.ts";
import { disableOffloads, WireCapture } from "./support/wire-capture.ts";

const VIDEO_PORT = 5003;
const VOICE_PORT = 5004;
const BULK_PORT = 5001;
const TRANSPORTS: ReadonlyMap<number, string> = new Map([
  [6, "tcp"],
  [17, "udp"],
]);
const PROTOCOL_SHIM6 = 140;
const IPV6_HEADER_LENGTH = 40;
const SHIM6_HEADER_LENGTH = 8;

describe("applications between the same two hosts", () => {
  let lab: ShimLab;

  afterEach(async () => {
    await lab.close();
  });

  /** A forked context for datagrams to a port, once its packets leave on the pair. */
  async function fork(port: number, local: string, peer: string): Promise<string> {
    const selector = ["--protocol", "udp", "--peer-ports", `${port}`];
    const locators = ["--locators", `${local},${peer}`];
    const origin = (await lab.contexts("a")).find(({ forkedInstance }) => forkedInstance === 0);
    const command = ["fork", origin?.localTag ?? "none", ...selector, ...locators];
    const { forks } = (await lab.daemon("a").query(...command)) as ForksReply;
    const tag = forks[0]?.fork;
    const moved = async () => {
      const context = (await lab.contexts("a")).find(({ localTag }) => localTag === tag);
      return context?.localLocator === local && context.packetsOut > 0 ? context : undefined;
    };
    const context = await poll(moved, { timeout: PATIENCE, interval: 100 });
    if (context?.peerTag == null) throw new Error(`the fork does not get on: ${tag}`);
    return context.peerTag;
  }

  /** Where contexts of A have moved to, those that did first. */
  async function movesSince(before: readonly ContextStatus[]): Promise<string[]> {
    const now = new Map((await lab.contexts("a")).map((context) => [context.localTag, context]));
    const moves = before.map(({ localTag, localLocator }) => {
      const moved = now.get(localTag)?.localLocator !== localLocator;
      return moved ? `away from ${localLocator === A2 ? "A2" : localLocator}` : "none";
    });
    return moves.sort();
  }

  test("use pairs of their own, and the loss of one pair concerns its own only", async () => {
    lab = await ShimLab.open({ shims: ["a", "b"] });
    await disableOffloads(lab.network);
    const bulk = await startTcp(lab.network, { ...A_TO_B, port: BULK_PORT, rate: 200_000 });
    const video = await startUdp(lab.network, { ...A_TO_B, port: VIDEO_PORT });
    const voice = await startUdp(lab.network, { ...A_TO_B, port: VOICE_PORT });
    await lab.untilAll(["a", "b"], "established", 0);
    const videoTag = await fork(VIDEO_PORT, A2, B2);
    const voiceTag = await fork(VOICE_PORT, A1, B1);

    const captures = await Promise.all(
      ["isp1", "isp2"].map((isp) =>
        WireCapture.start(lab.network, "a", isp, join(lab.lab.directory, `${isp}.pcap`)),
      ),
    );
    await untilCaptured(captures, [BULK_PORT, VIDEO_PORT, VOICE_PORT]);
    for (const capture of captures) await capture.stop();
    const [first, second] = await Promise.all(captures.map(payloadOf));
    // Video on the second path, voice on the first with its header, and TCP as plain IPv6.
    expect(new Set(second)).toEqual(new Set([`udp ${VIDEO_PORT} tagged ${videoTag} on A2>B2`]));
    expect(new Set(first)).toEqual(
      new Set([`udp ${VOICE_PORT} tagged ${voiceTag} on A1>B1`, `tcp ${BULK_PORT} plain on A1>B1`]),
    );

    const before = await lab.contexts("a");
    const { at } = await inject(lab.network, {
      ...{ kind: "silent-loss", isp: "isp2", direction: "both" },
    });
    await lab.untilAll(["a"], "recovered", at);
    for (const flow of [bulk, video, voice]) await untilMoves(flow, 20_000);
    const moves = await movesSince(before);
    const [bulkRecord, videoRecord, voiceRecord] = await Promise.all(
      [bulk, video, voice].map((flow) => flow.stop()),
    );
    for (const record of [bulkRecord, videoRecord, voiceRecord]) expect(record?.damage).toEqual([]);
    const gaps = videoRecord?.gaps.filter(({ to }) => to > at) ?? [];
    const longest = Math.max(0, ...gaps.map(({ from, to }) => to - from));
    // The timer may have been running: B answers one-way video by keepalives, three a timeout.
    expect(longest).toBeGreaterThan(SEND_TIMEOUT * 500);
    expect(moves).toEqual(["away from A2", "none", "none"]);
  }, 90_000);
});

/** Waits until the captures together show payload to each of the ports. */
async function untilCaptured(captures: WireCapture[], ports: readonly number[]): Promise<void> {
  const captured = async () => {
    const payload = (await Promise.all(captures.map(payloadOf))).flat().join();
    return ports.every((port) => payload.includes(` ${port} `)) || undefined;
  };
  await waitFor(captured, {
    timeout: PATIENCE,
    interval: 200,
    timeoutError: () => new Error(`the captures lack one of the ports ${ports.join(", ")}`),
  });
}

async function payloadOf(capture: WireCapture): Promise<string[]> {
  return (await capture.packets()).flatMap(describePayload);
}

/** A's payload on the wire in words; nothing for other packets. */
function describePayload(packet: Buffer): string[] {
  const pair = [A1, A2].flatMap((source, i) =>
    [B1, B2].flatMap((destination, j) => {
      const octets = Buffer.concat([addressToBytes(source), addressToBytes(destination)]);
      return packet.subarray(8, IPV6_HEADER_LENGTH).equals(octets) ? [`A${i + 1}>B${j + 1}`] : [];
    }),
  )[0];
  if (pair === undefined) return [];
  if (packet[6] !== PROTOCOL_SHIM6)
    return words(packet[6] ?? 0, packet, IPV6_HEADER_LENGTH, "plain", pair);
  const header = findPayloadHeader(packet);
  if (!header.ok) return [];
  const { tag, nextHeader } = header.value;
  const offset = IPV6_HEADER_LENGTH + SHIM6_HEADER_LENGTH;
  return words(nextHeader, packet, offset, `tagged ${formatTag(tag)}`, pair);
}

function words(
  protocol: number,
  packet: Buffer,
  offset: number,
  how: string,
  pair: string,
): string[] {
  const name = TRANSPORTS.get(protocol);
  return name === undefined ? [] : [`${name} ${packet.readUInt16BE(offset + 2)} ${how} on ${pair}`];
}
