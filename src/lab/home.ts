import {
  type Aftermath,
  type Experiment,
  type ExperimentOptions,
  type FailureRun,
  hasEvent,
  RECOVERY_PATIENCE,
  runExperiment,
  type Trial,
} from "./experiment.ts";
import type { Failure } from "./failure.ts";
import type { Flow, FlowRecord } from "./flow.ts";
import { startTcp, startUdp } from "./flows.ts";
import type { Lab } from "./lab.ts";
import { measure } from "./measurement.ts";
import { provenAddress } from "./proven-addresses.ts";
import { poll } from "./shell.ts";
import type { ShimDaemon } from "./shim-daemon.ts";
import type { Timeline } from "./timeline.ts";
import { HOME_TOPOLOGY, literal } from "./topology.ts";

/**
 * A home with two ISPs talks to a server with two others. Nobody configured anything: addresses
 * and routers come from radvd on the ISPs' routers, uplinks and proven addresses from the daemons.
 */

/** ms that a change which the host is told of may take. */
const LOCAL_TOLERANCE = 1_500;
/** ms without any working uplink. */
const GAP = 20_000;
/** ms until a session is back on the uplink that works again. */
const RETURN_PATIENCE = 120_000;
/** Octets per second of each TCP transfer. */
const TCP_RATE = 1_000_000;

/** Runs each kind of failure on a new network. */
export async function runHome(sendTimeout: number, timeline: Timeline): Promise<FailureRun[]> {
  const options: ExperimentOptions = {
    ...{ sendTimeout, security: "verified", detect: "adaptive", shim: true },
  };
  const runs: FailureRun[] = [];
  for (const experiment of experiments(sendTimeout)) {
    const run = await runExperiment(experiment, options, timeline);
    runs.push(run, ...failBackOf(run));
  }
  return runs;
}

function experiments(sendTimeout: number): Experiment[] {
  const first = { host: "a", isp: "isp1" };
  const remote = sendTimeout * 1_000 + RECOVERY_PATIENCE;
  const silent: Failure = { kind: "silent-loss", isp: "isp1", direction: "both" };
  const successor = literal("2001:db8:1:aa::1");
  const isps = ["isp1", "isp2"];
  const kinds: readonly (readonly [title: string, failure: Failure, tolerance: number])[] = [
    ["ISP dead beyond its router", silent, remote],
    ["ISP's router dead", { kind: "router-dead", isp: "isp1" }, remote],
    ["cable out", { kind: "carrier-lost", ...first }, LOCAL_TOLERANCE],
    ["interface unplugged", { kind: "interface-removed", ...first }, LOCAL_TOLERANCE],
    ["prefix withdrawn", { kind: "prefix-withdrawn", ...first }, remote],
    ["prefix renumbered", { kind: "prefix-renumbered", ...first, successor }, remote],
    ["both ISPs, with a gap", { kind: "blackout", isps, gap: GAP }, GAP + remote],
  ];
  return kinds.map(([title, failure, tolerance]) => ({
    ...{ title, failure, tolerance, startFlows },
    topology: HOME_TOPOLOGY,
    shims: ["a", "b"],
    talking: ["a", "b"],
    ...(failure === silent ? { afterwards: returnHome } : {}),
  }));
}

/** A transfer each way, and datagrams that nobody answers. */
async function startFlows(
  { network }: Lab,
  daemons: readonly ShimDaemon[],
  timeline: Timeline,
): Promise<Flow[]> {
  const addressOf = async (host: string, isp: string) => {
    const daemon = daemons.find((candidate) => candidate.host === host);
    if (daemon === undefined) throw new RangeError(`host ${host} has no daemon`);
    return await provenAddress(daemon, isp);
  };
  const [a, b] = [await addressOf("a", "isp1"), await addressOf("b", "isp3")];
  const up = { from: "a", to: "b", source: a, destination: b };
  const down = { from: "b", to: "a", source: b, destination: a };
  const flows = await Promise.all([
    startTcp(network, { ...up, port: 5001, rate: TCP_RATE }),
    startTcp(network, { ...down, port: 5002, rate: TCP_RATE }),
    startUdp(network, { ...down, port: 5003 }),
  ]);
  timeline.note("TCP flows from a to b and from b to a, UDP from b to a only");
  return flows;
}

/** The first ISP works again: sessions return to it, once it has been good for a while. */
async function returnHome({ daemons, injected, timeline }: Trial): Promise<Aftermath> {
  const healedAt = Date.now();
  await injected.heal();
  timeline.note("isp1 works again");
  const home = daemons.find(({ host }) => host === "a");
  const isBack = () => (home && hasEvent(home, "switched", healedAt)) || undefined;
  const returned = await poll(isBack, { timeout: RETURN_PATIENCE });
  const problems = returned ? [] : [`did not return within ${RETURN_PATIENCE / 1_000} s`];
  return { healedAt, problems };
}

/** What the return did to the flows, where the run had one. */
function failBackOf(run: FailureRun): FailureRun[] {
  const { healedAt: failedAt, flows } = run;
  if (failedAt === undefined) return [];
  // What got lost before is the failure's, not the return's.
  const since = (flow: FlowRecord): FlowRecord => ({
    ...flow,
    losses: flow.losses.filter(({ from }) => from >= failedAt),
  });
  const measurements = flows.map((flow) => measure(since(flow), { ...run, failedAt }));
  return [{ ...run, title: "fail-back", failedAt, tolerance: LOCAL_TOLERANCE, measurements }];
}
