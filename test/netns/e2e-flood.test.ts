import { readFileSync } from "node:fs";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { ContextStatus, StatusReply } from "../../src/daemon/api.ts";
import { startTcp } from "../../src/lab/flows.ts";
import { provenAddress } from "../../src/lab/proven-addresses.ts";
import { sleep, waitFor } from "../../src/lab/shell.ts";
import { Attacker } from "./support/attacker.ts";
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

/** A host that does not begin. */
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

/** A transfer from `from` to `to`, which becomes a context of `from`'s making. */
async function startSession(from: "a" | "b", to: "a" | "b") {
  const destination = await provenAddress(lab.daemon(to), "isp1");
  const ends = { from, to, source: undefined, destination, port: 5001 };
  return await startTcp(lab.network, { ...ends, rate: RATE });
}

async function startDaemons(initiator: "a" | "b"): Promise<void> {
  await Promise.all(
    ["a", "b"].map(async (host) => {
      const daemon = await lab.startDaemon(host, host === initiator ? "" : NO_TRIGGER);
      await provenAddress(daemon, "isp1");
    }),
  );
}

async function untilEstablished(initiator: string): Promise<ContextStatus> {
  const established = async () => {
    const [context] = await lab.contexts(initiator);
    return context?.establishedAt === null ? undefined : context;
  };
  return await waitFor(established, {
    timeout: PATIENCE,
    interval: 500,
    timeoutError: () => new Error(`${initiator} has no context`),
  });
}

/** ms from the trigger on. */
function waitOf({ createdAt, establishedAt }: ContextStatus): number {
  return Date.parse(establishedAt ?? "") - Date.parse(createdAt);
}

/** Octets of memory that the flooded daemon has in use. */
function residentOctets(): number {
  const status = readFileSync(`/proc/${lab.daemon("b").pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}

async function statusOf(host: string): Promise<StatusReply> {
  return (await lab.daemon(host).query("status")) as StatusReply;
}

test.each([
  { type: "I1", initiator: "a" },
  { type: "I2", initiator: "b" },
] as const)(
  "a flood of $type costs no memory, and $initiator establishes a context through it",
  async ({ type, initiator }) => {
    await startDaemons(initiator);
    const victims = [await provenAddress(lab.daemon("b"), "isp1")];
    const flood = await attacker.flood({ type, victims });
    await sleep(WARM_UP);
    const warm = residentOctets();
    const flow = await startSession(initiator, initiator === "a" ? "b" : "a");
    const context = await untilEstablished(initiator);
    await untilMoves(flow, 2 * RATE);
    expect(flood.isOver).toBe(false);
    const { sent, milliseconds } = await flood.stop();
    const grown = residentOctets() - warm;
    const { contexts, counters } = await statusOf("b");
    const rate = Math.round(sent / milliseconds);
    console.log(
      `${rate},000 ${type} a second; established in ${waitOf(context)} ms; ` +
        `${Math.round(warm / 2 ** 20)} MiB, and ${(grown / 2 ** 20).toFixed(1)} more at the end`,
    );

    expect(context.initiator).toBe(true);
    expect(waitOf(context)).toBeLessThan(HONEST_PEER_WAITS);
    expect(grown).toBeLessThan(GROWTH_MAX);
    expect(contexts.total).toBe(1);
    const { dataplane, endpoint } = counters;
    expect(dataplane["strangers-overrun"]).toBeGreaterThan(sent / 2);
    expect(dataplane).toMatchObject({ "control-overrun": 0, "acquaintances-overrun": 0 });
    expect(endpoint["drop-rate-limit"]).toBe(0);
    expect((await flow.stop()).damage).toEqual([]);
  },
);
