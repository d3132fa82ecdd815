import { type InjectedFailure, inject } from "../../src/lab/failure.ts";
import { type Lab, withLab } from "../../src/lab/lab.ts";
import { inNamespace, run, sleep } from "../../src/lab/shell.ts";
import { HOME_TOPOLOGY } from "../../src/lab/topology.ts";
import { longestSilence } from "../interruption/arrivals.ts";
import { HALF_A_LINK, shape } from "../interruption/network.ts";
import { startTransfer } from "../interruption/transfer.ts";
import type { HomeEvent, System } from "./events.ts";
import { SshSession } from "./ssh.ts";
import { startSystem } from "./systems.ts";

const PORT = 5001;
/** ms of undisturbed sessions. */
const STEADY_TIME = 2_000;
/** ms that are looked at, at the least. */
const LEAST_OBSERVED = 3_000;
/** ms in which both sessions must get on, and how often in a row. */
const WINDOW = 500;
const WINDOWS = 4;
/** ms that sessions have for coming back to the first ISP. */
const RETURN_PATIENCE = 120_000;
/** ms without an arrival at the end that make the silence one without an end. */
const SILENT_END = 500;

/** What one run came to: silences at the home in ms, infinite where they did not end. */
export interface HomeRun {
  readonly download: number;
  readonly ssh: number;
  /** What the return to the first ISP did, where it was tried. */
  readonly failBack?: {
    readonly download: number;
    readonly ssh: number;
    /** ms until the first ISP carried a part of the download again. */
    readonly after: number;
  };
}

/** One event in a network of its own. @throws Error when the sessions do not even begin */
export function runEvent(system: System, event: HomeEvent): Promise<HomeRun> {
  return withLab(HOME_TOPOLOGY, async (lab) => {
    await shape(lab.network);
    const { home, server, ready } = await startSystem(system, lab);
    const mptcp = system === "mptcp";
    const ssh = await SshSession.start(lab, { client: home, server, mptcp });
    const download = await startTransfer(lab.network, {
      ...{ protocol: mptcp ? "mptcp" : "tcp", port: PORT, sender: "server" },
      ...{ client: { host: "a", address: home }, server: { host: "b", address: server } },
    });
    await ready();
    await sleep(STEADY_TIME);

    const injected = await inject(lab.network, event.failure);
    const { at } = injected;
    await untilSteady(lab, ssh, at + LEAST_OBSERVED, event.patience);
    const observedUntil = Date.now();
    const back = event.failBack ? await watchReturn(lab, ssh, injected) : undefined;
    await sleep(SILENT_END);
    const intact = ssh.intact;
    const arrivals = await download.stop();

    const silences = (from: number, until: number) => ({
      download: longestSilence(arrivals, from, until, SILENT_END),
      ssh: intact ? longestSilence(ssh.echoes, from, until, SILENT_END) : Number.POSITIVE_INFINITY,
    });
    const failure = silences(at, observedUntil);
    if (back === undefined) return failure;
    const { healedAt, until, after } = back;
    return { ...failure, failBack: { ...silences(healedAt, until), after } };
  });
}

async function watchReturn(lab: Lab, ssh: SshSession, failure: InjectedFailure) {
  const healedAt = Date.now();
  await failure.heal();
  const after = await untilCarriedBy(lab, "isp1", healedAt);
  await untilSteady(lab, ssh, 0, LEAST_OBSERVED);
  return { healedAt, until: Date.now(), after };
}

/** Waits until both sessions have got on for some windows in a row, or the patience is over. */
async function untilSteady(
  lab: Lab,
  ssh: SshSession,
  earliest: number,
  patience: number,
): Promise<void> {
  const end = Date.now() + patience;
  const flows = async () => {
    const start = Date.now();
    const octets = await carriedInWindow(lab, ["isp1", "isp2"]);
    const echo = ssh.echoes.at(-1)?.[0] ?? 0;
    return octets >= HALF_A_LINK && echo >= start;
  };
  for (let windows = 0; windows < WINDOWS || Date.now() < earliest; ) {
    windows = (await flows()) ? windows + 1 : 0;
    if (Date.now() > end) return;
  }
}

/** ms from `since` until the ISP carries a tenth of what it can, or more; infinite when never. */
async function untilCarriedBy(lab: Lab, isp: string, since: number): Promise<number> {
  while (Date.now() - since < RETURN_PATIENCE) {
    const after = Date.now() - since;
    if ((await carriedInWindow(lab, [isp])) >= HALF_A_LINK) return after;
  }
  return Number.POSITIVE_INFINITY;
}

/** Octets that came to the home by these ISPs in the next window. */
async function carriedInWindow({ network }: Lab, isps: readonly string[]): Promise<number> {
  const files = isps.map((isp) => `/sys/class/net/${isp}/statistics/rx_bytes`);
  const sum = async () => {
    const counts = await run(inNamespace(network.namespace("a"), ["cat", ...files]));
    return counts.split("\n").reduce((total, count) => total + Number(count), 0);
  };
  const before = await sum();
  await sleep(WINDOW);
  return (await sum()) - before;
}
