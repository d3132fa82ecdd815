import type { Detection } from "../../src/core/config.ts";
import { inject } from "../../src/lab/failure.ts";
import { type Lab, withLab } from "../../src/lab/lab.ts";
import type { Network } from "../../src/lab/network.ts";
import { sleep, waitFor } from "../../src/lab/shell.ts";
import { ShimDaemon } from "../../src/lab/shim-daemon.ts";
import { literal, uplinkRouter } from "../../src/lab/topology.ts";
import { TWO_HOSTS } from "../two-hosts.ts";
import { firstArrival, longestSilence, sustainedAfter } from "./arrivals.ts";
import { configureMptcp, HALF_A_LINK, shape } from "./network.ts";
import { type Protocol, startTransfer } from "./transfer.ts";
import { isNoticed, type PathEvent, type Variant } from "./variants.ts";

const A1 = literal("2001:db8:1:a::1");
const A2 = literal("2001:db8:2:a::1");
const B1 = literal("2001:db8:1:b::1");
const B2 = literal("2001:db8:2:b::1");
const PORT = 5001;

/** ms of undisturbed transfer. */
const STEADY_TIME = 1_000;
/** The same where answers are keepalives, of which there is one a second; some ms are drawn. */
const ONE_WAY_STEADY_TIME = 5_000;
const KEEPALIVE_INTERVAL = 1_000;
/** ms that are looked at after what happens, or after the command. */
const OBSERVED: Readonly<Record<Variant["system"], number>> = {
  l3shim: 2_000,
  "mptcp-subflow": 4_000,
  "mptcp-backup": 4_000,
};
const PATIENCE = 10_000;
/** Octets of a datagram, of which one in 100 ms counts as flowing: 50 are sent in a second. */
const DATAGRAM = 160;
const ONE_WAY_OBSERVED = 5_000;

/** What one run came to, in ms. */
export interface Interruption {
  /** Of the receiver. */
  readonly silence: number;
  /** From the event, or the command, until the transfer had half a link's rate and kept it. */
  readonly sustained: number;
  /** From the command to switch to the first data. */
  readonly afterCommand: number | undefined;
  /** From the switch at the sender, as its daemon tells it, to the first data. */
  readonly afterSwitch: number | undefined;
}

/** One run in a network of its own. @throws Error when the transfer does not even begin */
export function runVariant(variant: Variant): Promise<Interruption> {
  const { system, event, payload } = variant;
  const observed = payload === undefined ? OBSERVED[system] : ONE_WAY_OBSERVED;
  return withLab(TWO_HOSTS, async (lab) => {
    await shape(lab.network);
    const daemons =
      system === "l3shim" ? await startDaemons(lab, isNoticed(variant) ? "adaptive" : "rfc") : [];
    if (system !== "l3shim") await configure(lab.network, system === "mptcp-backup");
    const transfer = await startTransfer(lab.network, {
      ...{ protocol: protocolOf(variant), port: PORT, sender: "client" },
      ...{ client: { host: "a", address: A1 }, server: { host: "b", address: B1 } },
    });
    await untilEstablished(daemons);
    await sleep(
      payload === undefined
        ? STEADY_TIME
        : ONE_WAY_STEADY_TIME + Math.random() * KEEPALIVE_INTERVAL,
    );

    const { at, commandedAt } = await happen(lab.network, daemons[0], event);
    const from = commandedAt ?? at;
    const until = Date.now() + observed;
    await sleep(observed);
    const arrivals = await transfer.stop();
    const switchedAt = switchOf(daemons[0], at);
    return {
      silence: longestSilence(arrivals, at, until),
      sustained: sustainedAfter(
        arrivals,
        from,
        until,
        payload === undefined ? HALF_A_LINK : DATAGRAM,
      ),
      afterCommand: commandedAt && firstArrival(arrivals, commandedAt),
      afterSwitch: switchedAt && firstArrival(arrivals, switchedAt),
    };
  });
}

async function startDaemons(lab: Lab, detect: Detection): Promise<ShimDaemon[]> {
  const { directory } = lab;
  const options = { sendTimeout: 15, detect, directory, dataplane: "ebpf" } as const;
  const starting = ["a", "b"].map((host) => ShimDaemon.start(lab.network, host, options));
  const daemons = await Promise.all(starting);
  for (const daemon of daemons) lab.defer(() => daemon.stop());
  return daemons;
}

/** The second uplink of each host is known to MPTCP; the sender opens the subflows. */
async function configure(network: Network, backup: boolean): Promise<void> {
  for (const { name, uplinks } of TWO_HOSTS.hosts) {
    const [first, second] = uplinks.map((uplink) => ({
      ...{ device: uplink.isp, address: uplink.address, router: uplinkRouter(uplink) },
    }));
    if (first === undefined || second === undefined) throw new RangeError("an uplink is missing");
    const subflow = ["subflow", "fullmesh", ...(backup ? (["backup"] as const) : [])] as const;
    const role = name === "a" ? subflow : (["signal"] as const);
    await configureMptcp(network.namespace(name), [first, second], role);
  }
}

function protocolOf({ system, payload }: Variant): Protocol {
  if (payload !== undefined) return "udp";
  return system === "l3shim" ? "tcp" : "mptcp";
}

async function untilEstablished(daemons: readonly ShimDaemon[]): Promise<void> {
  await waitFor(() => daemons.every(isEstablished) || undefined, {
    timeout: PATIENCE,
    timeoutError: () => new Error("no context was established"),
  });
}

function isEstablished({ events }: ShimDaemon): boolean {
  return events.some(({ event }) => event === "established");
}

/** Unix time in ms of the event, taken just before, and of the command, where there is one. */
async function happen(
  network: Network,
  sender: ShimDaemon | undefined,
  event: PathEvent,
): Promise<{ at: number; commandedAt?: number }> {
  if (event.kind === "link-down") {
    return inject(network, { kind: "link-down", host: event.host, isp: "isp1" });
  }
  const { at } = await inject(network, { kind: "silent-loss", isp: "isp1", direction: "both" });
  if (event.kind === "cut" || sender === undefined) return { at };
  await sleep(event.after);
  const commandedAt = Date.now();
  await preferSecond(sender);
  return { at, commandedAt };
}

/** As `l3shim prefer` does, without the time that its start takes. */
function preferSecond(daemon: ShimDaemon): Promise<unknown> {
  const tag = daemon.events.find(({ event }) => event === "established")?.context;
  return daemon.post(`/v1/contexts/${tag}/prefer`, { localLocator: A2, peerLocator: B2 });
}

function switchOf(daemon: ShimDaemon | undefined, after: number): number | undefined {
  return daemon?.events.find(({ event, time }) => event === "switched" && time >= after)?.time;
}
