import type { SecurityMode } from "../core/config.ts";
import type { Address } from "../wire/address.ts";
import type { CapturedMessage } from "./capture.ts";
import { MessageCapture } from "./capture.ts";
import { describeFailure, type Failure, inject } from "./failure.ts";
import type { Flow, FlowRecord } from "./flow.ts";
import { startTcp, startUdp } from "./flows.ts";
import { type Lab, withLab } from "./lab.ts";
import { type Measurement, measure } from "./measurement.ts";
import { provenAddress } from "./proven-addresses.ts";
import { LabError, poll, sleep, waitFor } from "./shell.ts";
import { ShimDaemon } from "./shim-daemon.ts";
import type { ShimEvent } from "./shim-event.ts";
import type { Timeline } from "./timeline.ts";
import { PAPER_TOPOLOGY, uplinkSpec } from "./topology.ts";
import { startVideo } from "./video.ts";

/**
 * The paper's experiment (its figure 8): A and B talk on the ULIDs A and B; A's first uplink
 * fails in one of three ways; the sessions go on over a. Then A opens a session to C, whose ULID
 * at A is a.
 */
export interface PaperOptions {
  /** Seconds; RFC 5534 section 7 recommends 10 at least, which is also the paper's time. */
  readonly sendTimeout: number;
  /** "verified": on addresses that the daemons make; "unverified": on those of the paper. */
  readonly security: SecurityMode;
  /** False: no daemon runs, to see what plain IPv6 does. */
  readonly shim: boolean;
}

/** One failure with everything that was recorded around it. */
export interface FailureRun {
  readonly title: string;
  readonly failure: Failure;
  /** The longest interruption (ms) that is as it should be. */
  readonly tolerance: number;
  /** Unix time in ms. */
  readonly startedAt: number;
  readonly failedAt: number;
  readonly observedUntil: number;
  readonly flows: readonly FlowRecord[];
  readonly events: readonly ShimEvent[];
  readonly messages: readonly CapturedMessage[];
  readonly measurements: readonly Measurement[];
  /** A's session to C, where the run has one. */
  readonly newSession: NewSession | undefined;
}

export interface NewSession {
  readonly flow: FlowRecord;
  /** A's address as C saw it, and as it should be. */
  readonly source: string | undefined;
  readonly expectedSource: Address;
  /** Whether the shim made a context with that ULID. */
  readonly established: boolean;
}

/** ms of undisturbed traffic before a failure and after the recovery. */
const STEADY_TIME = 3_000;
/** ms beyond the Send Timeout that exploration and TCP's own timer may take. */
const RECOVERY_PATIENCE = 20_000;
const ESTABLISHMENT_PATIENCE = 20_000;
const LOCAL_LOSS_TOLERANCE = 1_000;
/** Octets per second of the TCP transfers. */
const TCP_RATE = 1_000_000;

const HOSTS = ["a", "b", "c"];

/** Runs the experiment once per kind of failure, each on a new network. */
export async function runPaper(options: PaperOptions, timeline: Timeline): Promise<FailureRun[]> {
  const host = "a";
  const isp = "isp1";
  const silentLoss: Failure = { kind: "silent-loss", host, isp, direction: "both" };
  const remote = options.sendTimeout * 1000 + RECOVERY_PATIENCE;
  return [
    await runFailure("silent path loss", silentLoss, remote, options, timeline),
    await runFailure(
      "link down",
      { kind: "link-down", host, isp },
      LOCAL_LOSS_TOLERANCE,
      options,
      timeline,
    ),
    await runFailure(
      "address deleted",
      { kind: "address-deleted", host, isp },
      LOCAL_LOSS_TOLERANCE,
      options,
      timeline,
    ),
  ];
}

function runFailure(
  title: string,
  failure: Failure,
  tolerance: number,
  options: PaperOptions,
  timeline: Timeline,
): Promise<FailureRun> {
  timeline.begin(`${title}: ${describeFailure(failure)}`);
  return withLab(PAPER_TOPOLOGY, async (lab) => {
    const startedAt = Date.now();
    timeline.note("network is up: hosts a, b and c, two ISPs and a core");
    const daemons = options.shim ? await startDaemons(lab, options, timeline) : [];
    const captures = await startCaptures(lab);
    const flows = await startFlows(lab, daemons, options, timeline);
    if (options.shim) await untilEstablished(daemons);
    await sleep(STEADY_TIME);

    const { at: failedAt } = await inject(lab.network, failure);
    timeline.fail(failedAt, describeFailure(failure));
    await untilRecovered(daemons, flows, failedAt, options, timeline);
    const newSession =
      failure.kind === "link-down"
        ? await openNewSession(lab, daemons, options, timeline)
        : undefined;
    await sleep(STEADY_TIME);

    for (const daemon of daemons) daemon.checkAlive();
    const observedUntil = Date.now();
    const records = await Promise.all(flows.map((flow) => flow.stop()));
    const messages = (await Promise.all(captures.map((capture) => capture.stop()))).flat();
    const events = daemons.flatMap((daemon) => daemon.events);
    const recording = { failedAt, observedUntil, events, messages };
    const measurements = records.map((record) => measure(record, recording));
    for (const [index, record] of records.entries()) {
      timeline.result(record, measurements[index]);
    }
    return {
      ...{ title, failure, tolerance, startedAt, ...recording },
      ...{ flows: records, measurements, newSession },
    };
  });
}

async function startDaemons(
  lab: Lab,
  { sendTimeout, security }: PaperOptions,
  timeline: Timeline,
): Promise<ShimDaemon[]> {
  const options = { sendTimeout, security, directory: lab.directory };
  const daemons = await Promise.all(
    HOSTS.map(async (host) => {
      const daemon = await ShimDaemon.start(lab.network, host, options, (event) =>
        timeline.shimEvent(event),
      );
      lab.defer(() => daemon.stop());
      return daemon;
    }),
  );
  timeline.note(
    `L3SHIM runs on a, b and c; security = "${security}", send-timeout = ${sendTimeout}`,
  );
  return daemons;
}

function startCaptures(lab: Lab): Promise<MessageCapture[]> {
  return Promise.all(HOSTS.map((host) => MessageCapture.start(lab.network, host, lab.directory)));
}

/** The host's address of this ISP that sessions start on. */
async function ulidOf(
  lab: Lab,
  daemons: readonly ShimDaemon[],
  { security }: PaperOptions,
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
  options: PaperOptions,
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

async function untilEstablished(daemons: readonly ShimDaemon[]): Promise<void> {
  const talking = daemons.filter(({ host }) => host !== "c");
  await waitFor(() => talking.every((daemon) => hasEvent(daemon, "established", 0)) || undefined, {
    timeout: ESTABLISHMENT_PATIENCE,
    timeoutError: () =>
      new LabError(
        "a and b made no Shim6 context although they exchange packets; run " +
          '"l3shim lab shell" and there "l3shim status" on both to see why',
      ),
  });
}

/** Waits for the hosts' word and for the arrival of data, but no longer than it may take. */
async function untilRecovered(
  daemons: readonly ShimDaemon[],
  flows: readonly Flow[],
  failedAt: number,
  { sendTimeout, shim }: PaperOptions,
  timeline: Timeline,
): Promise<void> {
  const timeout = sendTimeout * 1000 + (shim ? RECOVERY_PATIENCE : 0);
  const talking = daemons.filter(({ host }) => host !== "c");
  const recovered = () =>
    talking.length > 0 && talking.every((daemon) => hasEvent(daemon, "recovered", failedAt));
  if (await poll(() => recovered() || undefined, { timeout })) {
    const before = flows.map((flow) => flow.bytesReceived());
    const moving = () => flows.every((flow, index) => flow.bytesReceived() > (before[index] ?? 0));
    if (await poll(() => moving() || undefined, { timeout: RECOVERY_PATIENCE })) return;
  }
  timeline.note("not every flow went on in time");
}

function hasEvent(daemon: ShimDaemon, event: ShimEvent["event"], since: number): boolean {
  return daemon.events.some((entry) => entry.event === event && entry.time >= since);
}

/** Step (3) of the paper's figure 8: C is reached from a, because A is gone. */
async function openNewSession(
  lab: Lab,
  daemons: readonly ShimDaemon[],
  options: PaperOptions,
  timeline: Timeline,
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
