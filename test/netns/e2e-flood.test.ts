import { readFileSync } from "node:fs";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { ContextStatus, StatusReply } from "../../src/daemon/api.ts";
import { startTcp } from "../../src/lab/flows.ts";
import { provenAddress } from "../../src/lab/proven-addresses.ts";
import { sleep, waitFor } from "../../src/lab/shell.ts";
import { Attacker, type FloodOptions } from "./support/attacker.ts";
import { PATIENCE, untilMoves } from "./support/progress.ts";
import { ShimLab } from "./support/shim-lab.ts";

/**
 * Host b is flooded with first messages from sources that are nobody's, as many as one processor
 * can send. Host a is honest, and has no context with b before.
 */

/** ms. Whose I1 or I2 is lost tries again after 2 to 6 s (RFC 5533 section 14). */
const HONEST_PEER_WAITS = 2000;
/** ms */
const WARM_UP = 1000;
/**
 * Octets that the flooded daemon may have more at the flood's end than after its first second:
 * what the garbage collector leaves. One octet kept of a message would be some megabytes.
 */
const GROWTH_MAX = 32 << 20;
/** Octets per second: slow enough that b knows a by its payload when a's I1 comes. */
const RATE = 200_000;

/** A host that does not begin by itself. */
const NO_TRIGGER = "[trigger]\npackets = 1000000";

let lab: ShimLab;
let attacker: Attacker;

beforeEach(async () => {
  lab = await ShimLab.open({ shims: [], security: "verified" });
  attacker = await Attacker.join(lab);
});

afterEach(async () => {
  await lab.close();
});

/** The context that `host` has made with this address. */
async function untilEstablished(host: string, peerUlid: string): Promise<ContextStatus> {
  const established = async () => {
    const contexts = await lab.contexts(host);
    return contexts.find((each) => each.peerUlid === peerUlid && each.establishedAt !== null);
  };
  const timeoutError = () => new Error(`${host} has no context with ${peerUlid}`);
  return await waitFor(established, { timeout: PATIENCE, interval: 500, timeoutError });
}

function expectPrompt(context: ContextStatus): void {
  const wait = Date.parse(context.establishedAt ?? "") - Date.parse(context.createdAt);
  console.log(`established ${wait} ms after the trigger`);
  expect(context.initiator).toBe(true);
  expect(wait).toBeLessThan(HONEST_PEER_WAITS);
}

/** Octets of memory that the flooded daemon has in use. */
function residentOctets(): number {
  const status = readFileSync(`/proc/${lab.daemon("b").pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}

async function countersOf(host: string): Promise<StatusReply["counters"]> {
  return ((await lab.daemon(host).query("status")) as StatusReply).counters;
}

/** Floods b while `use` runs, and looks at what that costs it. */
async function underFlood(options: FloodOptions, use: () => Promise<void>): Promise<void> {
  const before = await countersOf("b");
  const flood = await attacker.flood(options);
  await sleep(WARM_UP);
  const warm = residentOctets();
  await use();
  expect(flood.isOver).toBe(false);
  const { sent, milliseconds } = await flood.stop();
  const grown = residentOctets() - warm;
  const after = await countersOf("b");
  const rate = Math.round(sent / milliseconds);
  const mebibytes = (octets: number) => (octets / 2 ** 20).toFixed(1);
  console.log(
    `${rate},000 ${options.type} a second for ${Math.round(milliseconds)} ms; ` +
      `${mebibytes(warm)} MiB, and ${mebibytes(grown)} more at the end`,
  );
  expect(grown).toBeLessThan(GROWTH_MAX);
  const grew = (name: string) => (after.dataplane[name] ?? 0) - (before.dataplane[name] ?? 0);
  expect(grew("strangers-overrun")).toBeGreaterThan(sent / 2);
  expect([grew("control-overrun"), grew("acquaintances-overrun")]).toEqual([0, 0]);
  expect(after.endpoint["drop-rate-limit"]).toBe(0);
}

test("floods of I1 and I2 cost no memory, and honest hosts establish contexts through them", async () => {
  await Promise.all([lab.startDaemon("a"), lab.startDaemon("b", NO_TRIGGER)]);
  const address = (host: string, uplink: string) => provenAddress(lab.daemon(host), uplink);
  const a2 = await address("a", "isp2");
  const [b1, b2] = [await address("b", "isp1"), await address("b", "isp2")];
  const victims = [b1, b2];

  const ends = { from: "a", to: "b", source: undefined, destination: b1, port: 5001 };
  let flow: Awaited<ReturnType<typeof startTcp>> | undefined;
  await underFlood({ type: "I1", victims }, async () => {
    flow = await startTcp(lab.network, { ...ends, rate: RATE });
    expectPrompt(await untilEstablished("a", b1));
    await untilMoves(flow, 2 * RATE);
  });
  if (flow === undefined) throw new Error("there is no transfer");
  const transfer = flow;
  await underFlood({ type: "I2", victims }, async () => {
    await lab.daemon("b").query("open", b2, a2);
    expectPrompt(await untilEstablished("b", a2));
    await untilMoves(transfer, RATE);
  });
  expect(await lab.contexts("b")).toHaveLength(2);
  expect((await transfer.stop()).damage).toEqual([]);
});
