import type { Address } from "../wire/address.ts";
import {
  type Experiment,
  type ExperimentOptions,
  type FailureRun,
  type NewSession,
  RECOVERY_PATIENCE,
  runExperiment,
  STEADY_TIME,
  type Trial,
} from "./experiment.ts";
import type { Failure } from "./failure.ts";
import type { Flow } from "./flow.ts";
import { startTcp, startUdp } from "./flows.ts";
import type { Lab } from "./lab.ts";
import { provenAddress } from "./proven-addresses.ts";
import { sleep } from "./shell.ts";
import type { ShimDaemon } from "./shim-daemon.ts";
import type { Timeline } from "./timeline.ts";
import { PAPER_TOPOLOGY, uplinkSpec } from "./topology.ts";
import { startVideo } from "./video.ts";

/**
 * The paper's experiment (its figure 8): A and B talk on the ULIDs A and B; A's first uplink
 * fails in one of three ways; the sessions go on over a. Then A opens a session to C, whose ULID
 * at A is a.
 */

const LOCAL_LOSS_TOLERANCE = 1_000;
/** Octets per second of the TCP transfers. */
const TCP_RATE = 1_000_000;

/** Runs the experiment once per kind of failure, each on a new network. */
export async function runPaper(
  chosen: Omit<ExperimentOptions, "detect">,
  timeline: Timeline,
): Promise<FailureRun[]> {
  const options: ExperimentOptions = { ...chosen, detect: "rfc" };
  const runs: FailureRun[] = [];
  for (const experiment of experiments(options)) {
    runs.push(await runExperiment(experiment, options, timeline));
  }
  return runs;
}

function experiments(options: ExperimentOptions): Experiment[] {
  const host = "a";
  const isp = "isp1";
  const silentLoss: Failure = { kind: "silent-loss", host, isp, direction: "both" };
  const remote = options.sendTimeout * 1000 + RECOVERY_PATIENCE;
  const common = {
    topology: PAPER_TOPOLOGY,
    shims: ["a", "b", "c"],
    talking: ["a", "b"],
    startFlows: (lab: Lab, daemons: readonly ShimDaemon[], timeline: Timeline) =>
      startFlows(lab, daemons, options, timeline),
  };
  const local = { ...common, tolerance: LOCAL_LOSS_TOLERANCE };
  return [
    { ...common, title: "silent path loss", failure: silentLoss, tolerance: remote },
    {
      ...local,
      title: "link down",
      failure: { kind: "link-down", host, isp },
      afterwards: async (trial) => ({ newSession: await openNewSession(trial, options) }),
    },
    { ...local, title: "address deleted", failure: { kind: "address-deleted", host, isp } },
  ];
}

/** The host's address of this ISP that sessions start on. */
async function ulidOf(
  lab: Lab,
  daemons: readonly ShimDaemon[],
  { security }: ExperimentOptions,
  host: string,
  isp: string,
): Promise<Address> {
  const { address } = uplinkSpec(lab.network.host(host), isp);
  const daemon = daemons.find((candidate) => candidate.host === host);
  if (security === "unverified" || daemon === undefined) return address;
  return await provenAddress(daemon, isp);
}

/** TCP and UDP from A to B, the video from B to A, all on the ULIDs A and B. */
async function startFlows(
  lab: Lab,
  daemons: readonly ShimDaemon[],
  options: ExperimentOptions,
  timeline: Timeline,
): Promise<Flow[]> {
  const { network, directory } = lab;
  const a = await ulidOf(lab, daemons, options, "a", "isp1");
  const b = await ulidOf(lab, daemons, options, "b", "isp1");
  const there = { from: "a", to: "b", source: a, destination: b };
  const back = { from: "b", to: "a", source: b, destination: a };
  const flows = await Promise.all([
    startTcp(network, { ...there, port: 5001, rate: TCP_RATE }),
    startUdp(network, { ...there, port: 5002 }),
    startVideo(network, { ...back, port: 5003, directory }),
  ]);
  timeline.note("TCP and UDP flow from a to b, ffmpeg's video from b to a");
  return flows;
}

/** Step (3) of the paper's figure 8: C is reached from a, because A is gone. */
async function openNewSession(
  { lab, daemons, timeline }: Trial,
  options: ExperimentOptions,
): Promise<NewSession> {
  const { network } = lab;
  const destination = await ulidOf(lab, daemons, options, "c", "isp2");
  const expectedSource = await ulidOf(lab, daemons, options, "a", "isp2");
  timeline.note("a opens a new TCP session to c");
  const flow = await startTcp(network, {
    ...{ from: "a", to: "c", source: undefined, destination, port: 5004, rate: TCP_RATE },
  });
  await sleep(STEADY_TIME);
  const record = await flow.stop();
  const established = daemons.some(
    ({ host, events }) =>
      host === "a" &&
      events.some(
        (event) =>
          event.event === "established" &&
          event.localUlid === expectedSource &&
          event.peerUlid === destination,
      ),
  );
  timeline.note(`c sees the session from ${record.peer ?? "nowhere"}: ${record.summary}`);
  return { flow: record, source: record.peer, expectedSource, established };
}
