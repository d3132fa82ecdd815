import { DeadlineQueue } from "../core/deadline-queue.ts";
import { type AddressPair, type ContextEvent, samePair } from "../core/output.ts";
import { after, type Duration, type Instant, instant, seconds } from "../core/time.ts";
import { EventQueue } from "./event-queue.ts";
import { Flow, type FlowReport, type Interruption } from "./flow.ts";
import { type EndpointMaker, Host, type Surroundings } from "./host.ts";
import {
  checkAgreement,
  checkEmpty,
  type InvariantName,
  InvariantViolation,
} from "./invariants.ts";
import { Network } from "./network.ts";
import { PAYLOAD_BYTES, type Packet, type Payload } from "./packet.ts";
import { SimRandom } from "./random.ts";
import { describeFailure, type Failure, hostsOf, type Scenario } from "./scenario.ts";
import { describeControl, describeEvent } from "./trace.ts";

export interface SimOptions {
  readonly seed: number;
  /** Keep a line for each control message, event and failure. */
  readonly trace?: boolean;
  /** Tests plant broken endpoints. */
  readonly makeEndpoint?: EndpointMaker;
}

/** What a run did. */
export interface SimFigures {
  events: number;
  payloadPackets: number;
  controlPackets: number;
  lostPackets: number;
  failures: number;
  established: number;
  recoveries: number;
}

export interface Violation {
  readonly invariant: InvariantName;
  readonly message: string;
  readonly hosts: readonly string[];
  /** Seconds since the start. */
  readonly at: number;
}

export interface SimResult {
  readonly scenario: string;
  readonly seed: number;
  readonly figures: Readonly<SimFigures>;
  readonly flows: readonly FlowReport[];
  /** Of each flow those of a second and more, in seconds since the start. */
  readonly interruptions: readonly (readonly Interruption[])[];
  readonly violation: Violation | undefined;
  readonly trace: readonly string[];
}

/** The monotonic clock starts somewhere: nothing may count on 0. */
const START = instant(1_000_000);
/** From the end of all traffic until both ends must agree; below every idle timeout. */
const SETTLING = seconds(200);
/** How often flows are looked at for progress. */
const FLOW_CHECK_INTERVAL = seconds(60);
/** A handler that leaves the clock where it is this often goes round in circles. */
const TIMEOUTS_PER_INSTANT = 1000;
/** The longest pause between two probes: 60 s (RFC 5534 section 4.3) and our jitter. */
const PROBE_PAUSE_MAX = 72;

/** Runs one scenario from one seed, to its end or to the first violation. */
export function simulate(scenario: Scenario, options: SimOptions): SimResult {
  return new Simulation(scenario, options).run();
}

class Simulation implements Surroundings {
  now: Instant = START;
  readonly #scenario: Scenario;
  readonly #seed: number;
  readonly #network: Network;
  readonly #hosts = new Map<string, Host>();
  readonly #flows: Flow[];
  readonly #events = new EventQueue();
  readonly #timers = new DeadlineQueue<Host>();
  readonly #trace: string[] | undefined;
  readonly #figures: SimFigures = {
    ...{ events: 0, payloadPackets: 0, controlPackets: 0, lostPackets: 0 },
    ...{ failures: 0, established: 0, recoveries: 0 },
  };
  #timeoutsAtOnce = 0;

  constructor(scenario: Scenario, { seed, trace = false, makeEndpoint }: SimOptions) {
    this.#scenario = scenario;
    this.#seed = seed;
    this.#trace = trace ? [] : undefined;
    this.#network = new Network(seed, scenario.hosts, scenario.link);
    for (const { name } of scenario.hosts) {
      const addresses = this.#network.addressesOf(name);
      this.#hosts.set(name, new Host(name, addresses, this, { scenario, seed, makeEndpoint }));
    }
    this.#flows = scenario.flows.map((_, i) => this.#makeFlow(i));
  }

  run(): SimResult {
    let violation: Violation | undefined;
    try {
      this.#prepare();
      this.#play();
    } catch (error) {
      violation = this.#explain(error);
      this.#note(`VIOLATION ${violation.invariant}: ${violation.message}`);
    }
    return {
      ...{ scenario: this.#scenario.name, seed: this.#seed, figures: this.#figures, violation },
      flows: this.#flows.map(({ report }) => report),
      interruptions: this.#flows.map(({ interruptions }) => interruptions.map(sinceStart)),
      trace: this.#trace ?? [],
    };
  }

  in(span: Duration, run: () => void): void {
    this.#events.schedule(after(this.now, span), run);
  }

  transmit(host: Host, packet: Packet): void {
    const { source, destination } = packet;
    const bytes = packet.type === "control" ? packet.bytes.length + 40 : PAYLOAD_BYTES;
    const path = { local: source, peer: destination };
    const arrivals = this.#network.transmit(this.now, path, bytes);
    if (arrivals.length === 0) this.#figures.lostPackets += 1;
    if (packet.type === "payload") this.#figures.payloadPackets += 1;
    else {
      this.#figures.controlPackets += 1;
      if (this.#trace) this.#note(`${host.name} ${describeControl(packet, arrivals.length)}`);
    }
    const receiver = this.#ownerOf(path);
    for (const at of arrivals) this.#events.schedule(at, () => receiver.receive(packet));
  }

  deliver(host: Host, payload: Payload): void {
    this.#flows[payload.flow]?.handlePayload(host, payload);
  }

  handleEvent(host: Host, event: ContextEvent): void {
    if (event.event === "established") this.#figures.established += 1;
    if (event.event === "recovered") this.#figures.recoveries += 1;
    if (this.#trace) this.#note(`${host.name} ${describeEvent(event)}`);
  }

  reschedule(host: Host): void {
    this.#timers.set(host, host.deadline);
  }

  #prepare(): void {
    for (const host of this.#hosts.values()) host.start();
    for (const flow of this.#flows) {
      this.in(seconds(flow.spec.start ?? 0), () => flow.start());
    }
    for (const failure of this.#scenario.failures) this.#plan(failure);
  }

  /** The scenario, then a quiet time in which everything must come to agree and to go. */
  #play(): void {
    const end = after(START, seconds(this.#scenario.duration));
    while (after(this.now, FLOW_CHECK_INTERVAL) < end) {
      this.#runUntil(after(this.now, FLOW_CHECK_INTERVAL));
      for (const flow of this.#flows) this.#checkProgress(flow);
    }
    this.#runUntil(end);
    for (const flow of this.#flows) flow.finish();
    this.#note("flows stop, failures end");
    this.#runUntil(after(end, SETTLING));
    const hosts = [...this.#hosts.values()];
    checkAgreement(hosts, (pair) => this.#ownerOf(pair));
    // An end that explores revives, once, the context that the other has just forgotten.
    this.#runUntil(after(end, seconds(2 * this.#scenario.contextIdleTimeout + 300)));
    for (const host of hosts) checkEmpty(host);
  }

  #runUntil(end: Instant): void {
    for (;;) {
      const timer = this.#timers.peek();
      const eventAt = this.#events.nextAt;
      if (eventAt !== undefined && eventAt <= end && (timer === undefined || eventAt <= timer.at)) {
        this.#advance(eventAt);
        this.#events.runNext();
      } else if (timer !== undefined && timer.at <= end) {
        this.#advance(timer.at);
        this.#fire(timer.item);
      } else {
        break;
      }
      this.#figures.events += 1;
    }
    this.now = end;
  }

  /** A deadline that has passed already is due now. */
  #advance(at: Instant): void {
    if (at <= this.now) return;
    this.now = at;
    this.#timeoutsAtOnce = 0;
  }

  #fire(host: Host): void {
    this.#timers.popDue(this.now);
    this.#timeoutsAtOnce += 1;
    if (this.#timeoutsAtOnce > TIMEOUTS_PER_INSTANT * this.#hosts.size) {
      const message = `${host.name}'s deadline does not move on`;
      throw new InvariantViolation("output-bounded", [host.name], message);
    }
    host.handleTimeout();
  }

  #plan(failure: Failure): void {
    const { duration } = this.#scenario;
    const { at, lasts = duration } = failure;
    if (at >= duration) return;
    const isolated = failure.type === "partition" ? new Set(failure.hosts) : undefined;
    this.in(seconds(at), () => {
      this.#figures.failures += 1;
      this.#change(failure, 1, isolated);
    });
    this.in(seconds(Math.min(at + lasts, duration)), () => this.#change(failure, -1, isolated));
  }

  /** A failure begins (1) or ends (-1). */
  #change(failure: Failure, change: 1 | -1, isolated: ReadonlySet<string> | undefined): void {
    this.#note(`failure ${change === 1 ? "begins" : "ends"}: ${describeFailure(failure)}`);
    if (isolated === undefined) this.#network.apply(failure, change);
    else if (change === 1) this.#network.partition(isolated);
    else this.#network.unite(isolated);
    const touched = isolated === undefined ? hostsOf(failure) : [...this.#hosts.keys()];
    for (const name of touched) this.#host(name).changedAt = this.now;
    if (failure.type === "reboot") {
      const host = this.#host(failure.host);
      if (change === 1) host.halt();
      else host.resume();
    }
    if (failure.type === "uplink" && failure.seen) {
      this.#host(failure.host).changeUplink(failure.uplink, change);
    }
  }

  #makeFlow(number: number): Flow {
    const spec = this.#scenario.flows[number];
    if (spec === undefined) throw new RangeError(`no flow ${number}`);
    const [from, to] = [this.#host(spec.from), this.#host(spec.to)];
    const [local] = from.addresses;
    const [peer] = to.addresses;
    if (local === undefined || peer === undefined || from === to) {
      throw new Error(`flow ${number} needs two hosts with an uplink each`);
    }
    const random = new SimRandom(this.#seed, `flow ${spec.from} ${spec.to} ${spec.kind}`);
    return new Flow(number, spec, { from, to, ulids: { local, peer }, random }, this);
  }

  /** A flow must go on when it could have for longer than recovery takes at worst. */
  #checkProgress(flow: Flow): void {
    const { from, to, activeSince, progressAt } = flow;
    if (activeSince === undefined || !from.isUp || !to.isUp) return;
    const since = Math.max(progressAt, from.changedAt, to.changedAt);
    const patience = seconds(recoveryBound(this.#scenario, from, to));
    if (this.now - since <= patience || !this.#couldWork(flow, patience)) return;
    const message =
      `the ${flow.spec.kind} flow from ${from.name} to ${to.name} has made no progress for ` +
      `${((this.now - since) / 1000).toFixed(0)} s though a pair of locators works both ways`;
    throw new InvariantViolation("flow-recovers", [from.name, to.name], message);
  }

  /** Plain IPv6 works, or both ends have held a context long enough and some pair works. */
  #couldWork({ from, to, ulids }: Flow, patience: Duration): boolean {
    if (this.#worksBothWays(ulids)) return true;
    const mirrored = { local: ulids.peer, peer: ulids.local };
    const held = [
      { host: from, pair: ulids },
      { host: to, pair: mirrored },
    ].every(({ host, pair }) =>
      host.endpoint
        .contexts()
        .some(
          (context) =>
            samePair(context.ulids, pair) &&
            context.establishedAt !== undefined &&
            this.now - context.establishedAt > patience,
        ),
    );
    return (
      held &&
      from.addresses.some((local) =>
        to.addresses.some((peer) => this.#worksBothWays({ local, peer })),
      )
    );
  }

  #worksBothWays({ local, peer }: AddressPair): boolean {
    return (
      this.#network.isOpen({ local, peer }) && this.#network.isOpen({ local: peer, peer: local })
    );
  }

  #ownerOf({ peer }: AddressPair): Host {
    return this.#host(this.#network.hostOf(peer) ?? peer);
  }

  #host(name: string): Host {
    const host = this.#hosts.get(name);
    if (host === undefined) throw new Error(`the scenario has no host "${name}"`);
    return host;
  }

  #explain(error: unknown): Violation {
    const at = (this.now - START) / 1000;
    if (error instanceof InvariantViolation) {
      const { invariant, message, hosts } = error;
      return { invariant, message, hosts, at };
    }
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { invariant: "no-exception", message, hosts: [], at };
  }

  #note(line: string): void {
    this.#trace?.push(`${((this.now - START) / 1000).toFixed(3).padStart(10)} ${line}`);
  }
}

/** Chance that losses alone keep a flow from recovering in time: next to none. */
const MISSED = 1e-6;

/**
 * Seconds after which a flow has recovered, as far as losses let anything be certain: both Send
 * Timeouts, all pairs probed again and again at the longest pause, a hold-down of I1 (60 s)
 * after its four retransmissions (64 s), and TCP's longest timeout (60 s).
 */
function recoveryBound({ sendTimeout, link }: Scenario, from: Host, to: Host): number {
  const { loss = 0, burst } = link;
  const bursting = burst === undefined ? 0 : burst.enter / (burst.enter + burst.leave);
  const passes = (1 - loss) * (1 - bursting * (burst?.loss ?? 0));
  // Three messages end an exploration, and each passes two links.
  const rounds = Math.max(2, Math.ceil(Math.log(MISSED) / Math.log(1 - passes ** 6)));
  const pairs = from.addresses.length * to.addresses.length;
  return 2 * sendTimeout + rounds * pairs * PROBE_PAUSE_MAX + 184;
}

function sinceStart({ from, to }: Interruption): Interruption {
  return { from: (from - START) / 1000, to: (to - START) / 1000 };
}
