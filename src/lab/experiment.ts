import type { Detection, SecurityMode } from "../core/config.ts";
import type { Address } from "../wire/address.ts";
import type { CapturedMessage } from "./capture.ts";
import { MessageCapture } from "./capture.ts";
import { describeFailure, type Failure, type InjectedFailure, inject } from "./failure.ts";
import type { Flow, FlowRecord } from "./flow.ts";
import { type Lab, withLab } from "./lab.ts";
import { type Measurement, measure, type Recording } from "./measurement.ts";
import { LabError, poll, sleep, waitFor } from "./shell.ts";
import { ShimDaemon } from "./shim-daemon.ts";
import type { ShimEvent } from "./shim-event.ts";
import type { Timeline } from "./timeline.ts";
import type { Topology } from "./topology.ts";

export interface ExperimentOptions {
  /** Seconds; RFC 5534 section 7 recommends 10 at least, which is also the paper's time. */
  readonly sendTimeout: number;
  /** "verified": on addresses that the daemons make; "unverified": on those of the network. */
  readonly security: SecurityMode;
  /** "rfc": only the Send Timeout tells of a silent failure. */
  readonly detect: Detection;
  /** False: no daemon runs, to see what plain IPv6 does. */
  readonly shim: boolean;
}

/** One kind of failure, and what talks when it happens. */
export interface Experiment {
  readonly title: string;
  readonly topology: Topology;
  /** Hosts with a daemon. */
  readonly shims: readonly string[];
  /** Of these, the two that talk. */
  readonly talking: readonly string[];
  readonly failure: Failure;
  /** The longest interruption (ms) that is as it should be. */
  readonly tolerance: number;
  startFlows(lab: Lab, daemons: readonly ShimDaemon[], timeline: Timeline): Promise<Flow[]>;
  /** What is tried after the recovery. */
  afterwards?(trial: Trial): Promise<Aftermath>;
}

/** What came of what was tried after the recovery. */
export interface Aftermath {
  readonly newSession?: NewSession;
  /** When the failure was undone; Unix time in ms. */
  readonly healedAt?: number;
  readonly problems?: readonly string[];
}

/** An experiment after the recovery, with all that runs. */
export interface Trial {
  readonly lab: Lab;
  readonly daemons: readonly ShimDaemon[];
  readonly injected: InjectedFailure;
  readonly timeline: Timeline;
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
  /** When the failure was undone, where it was. */
  readonly healedAt: number | undefined;
  /** What went wrong beside the flows. */
  readonly problems: readonly string[];
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
export const STEADY_TIME = 3_000;
/** ms beyond the Send Timeout that exploration and TCP's own timer may take. */
export const RECOVERY_PATIENCE = 20_000;
const ESTABLISHMENT_PATIENCE = 20_000;

/** Runs the experiment on a new network. */
export function runExperiment(
  experiment: Experiment,
  options: ExperimentOptions,
  timeline: Timeline,
): Promise<FailureRun> {
  const { title, topology, failure, tolerance } = experiment;
  timeline.begin(`${title}: ${describeFailure(failure)}`);
  return withLab(topology, async (lab) => {
    const startedAt = Date.now();
    timeline.note(`network is up: ${describeNetwork(topology)}`);
    const daemons = options.shim ? await startDaemons(lab, experiment, options, timeline) : [];
    const captures = await startCaptures(lab, experiment.shims);
    const flows = await experiment.startFlows(lab, daemons, timeline);
    const talking = daemons.filter(({ host }) => experiment.talking.includes(host));
    if (options.shim) await untilEstablished(talking);
    await sleep(STEADY_TIME);

    const injected = await inject(lab.network, failure);
    const failedAt = injected.at;
    timeline.fail(failedAt, describeFailure(failure));
    await untilRecovered(talking, flows, failedAt, options, timeline);
    const aftermath = await experiment.afterwards?.({ lab, daemons, injected, timeline });
    await sleep(STEADY_TIME);

    for (const daemon of daemons) daemon.checkAlive();
    const observedUntil = Date.now();
    const records = await Promise.all(flows.map((flow) => flow.stop()));
    const messages = (await Promise.all(captures.map((capture) => capture.stop()))).flat();
    const events = daemons.flatMap((daemon) => daemon.events);
    const recording = { failedAt, observedUntil, events, messages };
    const measurements = measureAll(records, recording, timeline);
    return {
      ...{ title, failure, tolerance, startedAt, ...recording },
      ...{ flows: records, measurements, newSession: aftermath?.newSession },
      ...{ healedAt: aftermath?.healedAt, problems: aftermath?.problems ?? [] },
    };
  });
}

/** The measurements of a run's flows, told to the timeline's reader too. */
function measureAll(
  records: readonly FlowRecord[],
  recording: Recording,
  timeline: Timeline,
): Measurement[] {
  return records.map((record) => {
    const measurement = measure(record, recording);
    timeline.result(record, measurement);
    return measurement;
  });
}

function describeNetwork({ hosts, isps }: Topology): string {
  return `hosts ${hosts.map(({ name }) => name).join(", ")}, ${isps.length} ISPs and a core`;
}

async function startDaemons(
  lab: Lab,
  { shims }: Experiment,
  { sendTimeout, security, detect }: ExperimentOptions,
  timeline: Timeline,
): Promise<ShimDaemon[]> {
  const options = { sendTimeout, security, detect, directory: lab.directory };
  const daemons = await Promise.all(
    shims.map(async (host) => {
      const daemon = await ShimDaemon.start(lab.network, host, options, (event) =>
        timeline.shimEvent(event),
      );
      lab.defer(() => daemon.stop());
      return daemon;
    }),
  );
  timeline.note(
    `L3SHIM runs on ${shims.join(", ")}; security = "${security}", ` +
      `send-timeout = ${sendTimeout}, detect = "${detect}"`,
  );
  return daemons;
}

function startCaptures(lab: Lab, hosts: readonly string[]): Promise<MessageCapture[]> {
  return Promise.all(hosts.map((host) => MessageCapture.start(lab.network, host, lab.directory)));
}

async function untilEstablished(talking: readonly ShimDaemon[]): Promise<void> {
  await waitFor(() => talking.every((daemon) => hasEvent(daemon, "established", 0)) || undefined, {
    timeout: ESTABLISHMENT_PATIENCE,
    timeoutError: () =>
      new LabError(
        `${talking.map(({ host }) => host).join(" and ")} made no Shim6 context although they ` +
          'exchange packets; run "l3shim lab shell" and there "l3shim status" on both to see why',
      ),
  });
}

/** Waits for the hosts' word and for the arrival of data, but no longer than it may take. */
async function untilRecovered(
  talking: readonly ShimDaemon[],
  flows: readonly Flow[],
  failedAt: number,
  { sendTimeout, shim }: ExperimentOptions,
  timeline: Timeline,
): Promise<void> {
  const timeout = sendTimeout * 1000 + (shim ? RECOVERY_PATIENCE : 0);
  const recovered = () =>
    talking.length > 0 && talking.every((daemon) => hasEvent(daemon, "recovered", failedAt));
  if (await poll(() => recovered() || undefined, { timeout })) {
    const since = Date.now();
    const moving = () => flows.every((flow) => flow.bytesReceived(since) > 0);
    if (await poll(() => moving() || undefined, { timeout: RECOVERY_PATIENCE })) return;
  }
  timeline.note("not every flow went on in time");
}

export function hasEvent(daemon: ShimDaemon, event: ShimEvent["event"], since: number): boolean {
  return daemon.events.some((entry) => entry.event === event && entry.time >= since);
}
