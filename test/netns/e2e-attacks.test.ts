import { randomBytes, randomInt } from "node:crypto";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { ContextStatus, LocatorsReply, StatusReply } from "../../src/daemon/api.ts";
import { MessageCapture } from "../../src/lab/capture.ts";
import { inject } from "../../src/lab/failure.ts";
import type { Flow } from "../../src/lab/flow.ts";
import { startTcp, startUdp } from "../../src/lab/flows.ts";
import { sleep, waitFor } from "../../src/lab/shell.ts";
import { CORE, literal } from "../../src/lab/topology.ts";
import { type Address, addressFromBytes } from "../../src/wire/address.ts";
import { PROTOCOL_SHIM6 } from "../../src/wire/ipv6.ts";
import type { ControlMessage } from "../../src/wire/message.ts";
import { type ContextTag, contextTag, parseTag } from "../../src/wire/tag.ts";
import { Forger } from "./support/forger.ts";
import { PATIENCE, untilMoves } from "./support/progress.ts";
import { ShimLab } from "./support/shim-lab.ts";
import { WireCapture } from "./support/wire-capture.ts";

/*
 * An attacker host on the Internet between the ISPs, which forges sources, against two daemons with
 * addresses that prove each other. It has been on the path while the session began. All attacks of
 * docs/security.md in little; test/sim/attacks has each at length.
 */

const SILENT_LOSS = { kind: "silent-loss", isp: "isp1", direction: "both" } as const;
const DATAGRAM_LENGTH = 160;
const HBA = 1;
/** Where both ends began at once, there would be no I2 (RFC 5533 section 7.4). */
const NEVER_INITIATES = "[trigger]\npackets = 1_000_000";
/** Sent in bursts, and how many must have come: a busy host may drop some at its socket. */
const GUESSES = { bursts: 20, messages: 25, least: 300 };
const FLOOD = { bursts: 40, messages: 50, pause: 50 };

const validator = new Uint8Array(randomBytes(32));
const proof = { name: "ResponderValidator" as const, critical: false, validator };

describe("a session that an attacker host tries to steal", () => {
  let lab: ShimLab;
  let forger: Forger;
  let ulids: { readonly a: Address; readonly b: Address };
  let tags: { readonly a: ContextTag; readonly b: ContextTag };
  /** The I2 of the session, as the attacker has seen it. */
  let i2: { readonly source: Address; readonly destination: Address; readonly octets: Uint8Array };
  let flows: readonly Flow[];
  let before: readonly unknown[];
  let atForger: WireCapture;

  beforeEach(async () => {
    lab = await ShimLab.open({ shims: [], security: "verified" });
    await Promise.all([lab.startDaemon("a"), lab.startDaemon("b", NEVER_INITIATES)]);
    forger = await Forger.join(lab);
    const [a, b] = await Promise.all([ulidOf("a"), ulidOf("b")]);
    ulids = { a, b };
    const onPath = await MessageCapture.start(lab.network, "isp1", lab.lab.directory);
    const ends = { from: "a", to: "b", source: undefined, destination: b };
    flows = [
      await startTcp(lab.network, { ...ends, port: 5001, rate: 500_000 }),
      await startUdp(lab.network, { ...ends, port: 5002 }),
    ];
    const agreed = await lab.untilAgreed();
    tags = { a: tagOf(agreed.a), b: tagOf(agreed.b) };
    const seen = (await onPath.stop()).findLast(({ type }) => type === "I2");
    if (seen === undefined) throw new Error("the attacker has seen no I2");
    i2 = {
      ...{ source: literal(seen.source), destination: literal(seen.destination) },
      octets: Buffer.from(seen.octets, "hex"),
    };
    before = await state();
    const file = join(lab.lab.directory, "forger.pcap");
    atForger = await WireCapture.start(lab.network, "forger", CORE, file);
  });

  afterEach(async () => {
    await lab.close();
  });

  /** The address that the host's daemon has made on the first uplink. */
  function ulidOf(host: string): Promise<Address> {
    const made = async () => {
      const { locators } = (await lab.daemon(host).query("locators")) as LocatorsReply;
      const own = locators.filter(({ proof: by, operational }) => by === "hba" && operational);
      return own.length === 2 && own[0] !== undefined ? literal(own[0].address) : undefined;
    };
    return waitFor(made, {
      ...{ timeout: PATIENCE, interval: 200 },
      timeoutError: () => new Error(`host ${host} has no addresses that prove each other`),
    });
  }

  async function counters(): Promise<Record<"a" | "b", Readonly<Record<string, number>>>> {
    const [a, b] = await Promise.all(
      ["a", "b"].map(async (host) => {
        const reply = (await lab.daemon(host).query("status")) as StatusReply;
        return reply.counters.endpoint;
      }),
    );
    return { a: a ?? {}, b: b ?? {} };
  }

  /** Tags, locators and what is believed of the peer, at both ends. */
  async function state(): Promise<unknown[]> {
    const contexts = await Promise.all(["a", "b"].map((host) => lab.contexts(host)));
    return contexts.map((own) =>
      own.map(({ localTag, peerTag, localLocator, peerLocator, peerLocators }) => {
        const believed = peerLocators.map(({ address }) => address);
        return { localTag, peerTag, localLocator, peerLocator, believed };
      }),
    );
  }

  /** Waits until the daemons have counted so many more than at `start`. */
  async function untilCounted(
    start: Awaited<ReturnType<typeof counters>>,
    expected: readonly (readonly [host: "a" | "b", name: string, times: number])[],
  ): Promise<void> {
    let missing = expected;
    const counted = async () => {
      const now = await counters();
      missing = expected.filter(
        ([host, name, times]) => (now[host][name] ?? 0) < (start[host][name] ?? 0) + times,
      );
      return missing.length === 0 || undefined;
    };
    await waitFor(counted, {
      ...{ timeout: PATIENCE, interval: 500 },
      timeoutError: () => new Error(`not counted: ${JSON.stringify(missing)}`),
    });
  }

  /** A then B talk on over the second ISP, and all that was sent has come, once. */
  async function expectSessionIntact(): Promise<void> {
    for (const flow of flows) await untilMoves(flow, 50 * DATAGRAM_LENGTH);
    expect(await state()).toEqual(before);
    const { at } = await inject(lab.network, SILENT_LOSS);
    await lab.untilAll(["a", "b"], "recovered", at);
    for (const flow of flows) await untilMoves(flow, 100 * DATAGRAM_LENGTH);
    const context = await lab.context("a");
    expect(context.localLocator).not.toBe(ulids.a);
    expect(context.peerLocator).not.toBe(ulids.b);
    for (const flow of flows) expect((await flow.stop()).damage).toEqual([]);
    await atForger.stop();
    const stolen = (await atForger.packets()).filter((packet) => isFor(packet, forger.address));
    expect(stolen).toEqual([]);
  }

  test("keeps it, with all data intact, whatever is forged, replayed, guessed and flooded", async () => {
    const start = await counters();
    redirect();
    await guessControl();
    await guessPayload();
    await forgeR1bis();
    replayI2();
    lie();
    forgeProbes();
    await flood();
    await untilCounted(start, [
      ["b", "drop-locator-list", 1],
      ["b", "drop-unknown-context", 2 * GUESSES.least],
      ["b", "drop-unknown-tag", 1],
      ["a", "drop-unknown-context", GUESSES.least],
      ["a", "icmp-error", 1],
      ["b", "drop-validator", FLOOD.bursts],
    ]);
    expect((await lab.context("b")).probesReceived).toBeGreaterThan(0);
    await expectSessionIntact();
  }, 180_000);

  /** An Update with the right tag, and a locator that A can't prove: the attacker's own. */
  function redirect(): void {
    const locators = [ulids.a, forger.address].map((address) => ({ address, method: HBA }));
    forger.say(ulids.a, ulids.b, {
      ...{ type: "UpdateRequest", receiverContextTag: tags.b, requestNonce: 1 },
      options: [{ name: "LocatorList", critical: false, generation: 1, locators }],
    });
  }

  function guessControl(): Promise<void> {
    return guesses((receiverContextTag) => {
      const common = { receiverContextTag, requestNonce: 1, options: [] };
      forger.say(ulids.a, ulids.b, { type: "UpdateRequest", ...common });
    });
  }

  function guessPayload(): Promise<void> {
    return guesses((tag) => forger.sendPayload(ulids.a, ulids.b, tag));
  }

  /** With guessed tags from B's address, and with the right one from the attacker's. */
  async function forgeR1bis(): Promise<void> {
    const r1bis = (packetContextTag: ContextTag): ControlMessage => {
      return { type: "R1bis", packetContextTag, responderNonce: 1, options: [proof] };
    };
    await guesses((tag) => forger.say(ulids.b, ulids.a, r1bis(tag)));
    forger.say(forger.address, ulids.a, r1bis(tags.b));
  }

  /** While its validator is fresh: it is answered, and says nothing new. */
  function replayI2(): void {
    const { source, destination, octets } = i2;
    for (let i = 0; i < 20; i++) forger.replay(source, destination, octets);
  }

  function lie(): void {
    for (let i = 0; i < 20; i++) forger.sayUnreachable(ulids.a, ulids.b);
  }

  /** Exploring and InboundOk, with reports of probes that B never sent, on a foreign pair. */
  function forgeProbes(): void {
    const foreign = { source: ulids.b, destination: forger.address, data: 0 };
    for (const reported of ["exploring", "inboundok"] as const) {
      for (let nonce = 1; nonce < 20; nonce++) {
        forger.say(ulids.a, ulids.b, {
          ...{ type: "Probe", receiverContextTag: tags.b, state: reported, options: [] },
          sentProbes: [{ ...foreign, nonce }],
          receivedProbes: [{ ...foreign, nonce }],
        });
      }
    }
  }

  async function flood(): Promise<void> {
    for (let burst = 0; burst < FLOOD.bursts; burst++) {
      for (let i = 0; i < FLOOD.messages; i++) {
        for (const message of floodMessages()) forger.say(anySource(), ulids.b, message);
      }
      await sleep(FLOOD.pause);
    }
  }
});

function floodMessages(): ControlMessage[] {
  const initiator = { initiatorContextTag: guessTag(), initiatorNonce: 1 };
  return [
    { type: "I1", ...initiator, options: [] },
    { type: "I2", ...initiator, responderNonce: 1, options: [proof] },
    { type: "R1bis", packetContextTag: guessTag(), responderNonce: 1, options: [proof] },
  ];
}

async function guesses(send: (tag: ContextTag) => void): Promise<void> {
  for (let burst = 0; burst < GUESSES.bursts; burst++) {
    for (let i = 0; i < GUESSES.messages; i++) send(guessTag());
    await sleep(20);
  }
}

function guessTag(): ContextTag {
  return contextTag(randomInt(2 ** 47));
}

/** A global address that nobody has. */
function anySource(): Address {
  return literal(
    `2001:db9:${randomInt(1, 0xffff).toString(16)}::${randomInt(1, 0xffff).toString(16)}`,
  );
}

function tagOf({ localTag }: ContextStatus): ContextTag {
  const tag = parseTag(localTag);
  if (tag === undefined) throw new Error(`not a tag: ${localTag}`);
  return tag;
}

/** What a session sends, and not what neighbors say of each other. */
function isFor(packet: Buffer, address: Address): boolean {
  const protocols = [6, 17, PROTOCOL_SHIM6];
  return protocols.includes(packet[6] ?? 0) && addressFromBytes(packet, 24) === address;
}
