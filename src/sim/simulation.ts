import { DeadlineQueue } from "../core/deadline-queue.ts";
import { type AddressPair, type ContextEvent, pairKey, samePair } from "../core/output.ts";
import { after, type Duration, type Instant, instant, latest, seconds } from "../core/time.ts";
import type { Address } from "../wire/address.ts";
import { EventQueue } from "./event-queue.ts";
import { noFigures, type SimFigures } from "./figures.ts";
import { Flow, type FlowReport, type Interruption } from "./flow.ts";
import { type EndpointMaker, Host, type Surroundings } from "./host.ts";
import {
  checkAgreement,
  checkCollected,
  checkEmpty,
  checkProbes,
  type InvariantName,
  InvariantViolation,
} from "./invariants.ts";
import { Network } from "./network.ts";
import { PAYLOAD_BYTES, type Packet, type Payload } from "./packet.ts";
import { checkProgress } from "./progress.ts";
import { SimRandom } from "./random.ts";
import { Returns } from "./returns.ts";
import { describeFailure, type Failure, hostsOf, type Scenario } from "./scenario.ts";
import { describeControl, describeEvent } from "./trace.ts";

export interface SimOptions {
  readonly seed: number;
  /** Keep a line for each control message, event and failure. */
  readonly trace?: boolean;
  /** Tests plant broken endpoints. */
  readonly makeEndpoint?: EndpointMaker;
  /** Is told what happens to contexts. @param host its name */
  readonly observe?: (host: string, event: ContextEvent) => void;
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
/** How often flows, probes and idle contexts are looked at. */
const INSPECTION_INTERVAL = seconds(60);
/** A handler that leaves the clock where it is this often goes round in circles. */
const TIMEOUTS_PER_INSTANT = 1000;
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
  /** By each address that a host has at some time. */
  readonly #owners = new Map<Address, Host>();
  readonly #flows: Flow[];
  readonly #events = new EventQueue();
  readonly #timers = new DeadlineQueue<Host>();
  readonly #trace: string[] | undefined;
  readonly #figures = noFigures();
  readonly #returns: Returns;
  /** The flows of each ULID pair, by `pairKey` of either end's view. */
  readonly #flowsByUlids = new Map<string, Flow[]>();
  readonly #observe: SimOptions["observe"];
  #timeoutsAtOnce = 0;

  constructor(scenario: Scenario, { seed, trace = false, makeEndpoint, observe }: SimOptions) {
    this.#observe = observe;
    this.#scenario = scenario;
    this.#seed = seed;
    this.#trace = trace ? [] : undefined;
    this.#returns = new Returns(scenario);
    this.#network = new Network(seed, scenario.hosts, scenario.link);
    for (const { name } of scenario.hosts) {
      const addresses = this.#network.addressesOf(name);
      const host = new Host(name, addresses, this, { scenario, seed, makeEndpoint });
      this.#hosts.set(name, host);
      for (const address of this.#network.allAddressesOf(name)) this.#owners.set(address, host);
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
      if (packet.message.type === "Probe") this.#figures.probes += 1;
      if (this.#trace) this.#note(`${host.name} ${describeControl(packet, arrivals.length)}`);
    }
    if (arrivals.length === 0) return;
    const receiver = this.#ownerOf(path);
    for (const at of arrivals) this.#events.schedule(at, () => receiver.receive(packet));
  }

  deliver(host: Host, payload: Payload): void {
    this.#flows[payload.flow]?.handlePayload(host, payload);
  }

  handleEvent(host: Host, event: ContextEvent): void {
    const figures = this.#figures;
    if (event.event === "established") figures.established += 1;
    if (event.event === "established" && this.#isRenewal(event.ulids)) figures.renewals += 1;
    if (event.event === "closed" && event.cause === "idle") figures.collected += 1;
    if (event.event === "switched") {
      figures.switches += 1;
      this.#returns.handleSwitch(host, event);
    }
    if (event.event === "recovered") figures.recoveries += 1;
    if (this.#trace) this.#note(`${host.name} ${describeEvent(event)}`);
    this.#observe?.(host.name, event);
  }

  /** The peer has kept its context, and has just asked for this one (RFC 5533 section 7.17). */
  #isRenewal(ulids: AddressPair): boolean {
    const mirrored = { local: ulids.peer, peer: ulids.local };
    return this.#ownerOf(ulids)
      .endpoint.contexts()
      .some((context) => context.state === "I2BIS-SENT" && samePair(context.ulids, mirrored));
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
    while (after(this.now, INSPECTION_INTERVAL) < end) {
      this.#runUntil(after(this.now, INSPECTION_INTERVAL));
      this.#inspect();
    }
    this.#runUntil(end);
    for (const flow of this.#flows) flow.finish();
    this.#note("flows stop, failures end");
    this.#runUntil(after(end, SETTLING));
    const hosts = [...this.#hosts.values()];
    checkAgreement(hosts, (pair) => this.#ownerOf(pair));
    this.#runUntil(after(end, this.#collectionBound));
    for (const host of hosts) checkEmpty(host);
  }

  /** What must hold at any time. */
  #inspect(): void {
    for (const flow of this.#flows) checkProgress(this.now, flow, this.#scenario, this.#network);
    for (const host of this.#hosts.values()) {
      checkProbes(host, host.takeProbeCounts());
      checkCollected(host, this.now, (ulids) => this.#lastUse(ulids), this.#lifeBound);
    }
  }

  /** When a flow used the ULID pair last. */
  #lastUse(ulids: AddressPair): Instant {
    const flows = this.#flowsByUlids.get(pairKey(ulids)) ?? [];
    return latest(START, ...flows.map(({ silentSince }) => silentSince ?? this.now));
  }

  /** How long a context may live without use; its traffic is read now and then only. */
  get #lifeBound(): Duration {
    return seconds(this.#scenario.contextIdleTimeout + 300);
  }

  /**
   * How long after all traffic and failures the last context may live: an end may just have
   * revived, by an exploration, the one that the other had forgotten.
   */
  get #collectionBound(): Duration {
    return seconds(2 * this.#scenario.contextIdleTimeout + 300);
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
    if (failure.type === "renumber") {
      this.#host(failure.host).changeAddresses(this.#network.addressesOf(failure.host));
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
    const flow = new Flow(number, spec, { from, to, ulids: { local, peer }, random }, this);
    for (const pair of [flow.ulids, { local: peer, peer: local }]) {
      const sharing = this.#flowsByUlids.get(pairKey(pair));
      if (sharing === undefined) this.#flowsByUlids.set(pairKey(pair), [flow]);
      else sharing.push(flow);
    }
    return flow;
  }

  /** The host at the pair's other end. */
  #ownerOf({ peer }: AddressPair): Host {
    const host = this.#owners.get(peer);
    if (host === undefined) throw new Error(`no host has the address ${peer}`);
    return host;
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

function sinceStart({ from, to }: Interruption): Interruption {
  return { from: (from - START) / 1000, to: (to - START) / 1000 };
}
