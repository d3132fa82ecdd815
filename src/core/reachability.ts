import type { Keepalive, Probe } from "../wire/message.ts";
import type { Context } from "./context.ts";
import { RECHECK_MIN, STEADY_TIME, SUSPICION_INTERVAL } from "./defaults.ts";
import { Detector } from "./detector.ts";
import { Exploration } from "./exploration.ts";
import { FailBack } from "./fail-back.ts";
import { packetLength } from "./message-size.ts";
import { isOwnCause, type Occurrence } from "./occurrence.ts";
import { costOf, type Outage } from "./outage.ts";
import {
  type AddressPair,
  type Deadline,
  type ExplorationCause,
  type HostSuspicion,
  type SwitchCause,
  sameEnds,
  samePair,
} from "./output.ts";
import { PairChoice } from "./pair-choice.ts";
import { PlaneOrders } from "./plane-orders.ts";
import { Readings } from "./readings.ts";
import { NOTHING, PROBE_STATES, REAP } from "./reap.ts";
import { type ReapCheck, type ReapSpans, ReapTimers } from "./reap-timers.ts";
import type { ReapPast } from "./saved-context.ts";
import type { Shim } from "./shim.ts";
import { between, type Duration, type Instant, latest, scale } from "./time.ts";
import type { TrafficDirection, TrafficSnapshot } from "./traffic.ts";
import type { ReapState, WatchedPairView } from "./view.ts";

/** A few rounds at most: each timeout that is acted on stops or moves its timer. */
const TIMEOUTS_PER_READING = 4;

/**
 * REAP for one ESTABLISHED context (RFC 5534). Whatever happens is queued until the data
 * plane's snapshot is at hand (`handleTraffic`), so that timers that payload has started or
 * stopped meanwhile are seen as they are.
 */
export class Reachability {
  readonly #shim: Shim;
  readonly #context: Context;
  readonly #choice: PairChoice;
  readonly #orders: PlaneOrders;
  readonly #timers = new ReapTimers();
  readonly #exploration = new Exploration();
  readonly #failBack: FailBack;
  /** `undefined` where the Send Timeout alone tells of failures. */
  readonly #detector: Detector | undefined;
  readonly #readings: Readings;
  readonly #occurrences: Occurrence[] = [];
  #state: ReapState = "Operational";
  #traffic: TrafficSnapshot | undefined;
  #check: ReapCheck | undefined;
  #heardAt: Instant;
  #outage: Outage | undefined;
  #suspectedAt: Instant | undefined;
  /** The exploration under way is our own: it needs no allowance from what the peer sent. */
  #initiative = false;
  /** What an earlier run left, until the first traffic is at hand. */
  #past: ReapPast | undefined;

  probesSent = 0;
  probesReceived = 0;
  keepalivesSent = 0;
  keepalivesReceived = 0;

  constructor(now: Instant, shim: Shim, context: Context) {
    this.#shim = shim;
    this.#context = context;
    this.#choice = new PairChoice(shim, context);
    this.#orders = new PlaneOrders(shim, context, this.#choice);
    this.#failBack = new FailBack(shim, context, this.#choice);
    if (shim.config.detect === "adaptive") this.#detector = new Detector(shim, context);
    this.#readings = new Readings(shim, context, this.#timers, this.#detector?.suspicion);
    this.#heardAt = now;
    context.paths.noteProven(now, context.locators);
    this.#readings.request();
  }

  /** Payload begins to leave as the context says, and looks for the preferred pair. */
  start(): void {
    const { locators, ulids, forkedInstance } = this.#context;
    if (forkedInstance !== 0 || !sameEnds(locators, ulids)) this.#orders.applyMapping();
    this.#orders.applyErrorPolicy();
    this.seekPreferred();
  }

  /**
   * Goes on where an earlier run of the daemon ended. The data plane is told again what it may
   * know already, in case that run ended half-way. An exploration begins anew: which probes were
   * sent, nobody knows any more.
   */
  takeUp(past: ReapPast): void {
    this.#past = past;
    this.#heardAt = past.heardAt;
    this.#orders.watch(false);
    this.#orders.repeatErrorPolicy();
    this.#orders.applyMapping();
    if (past.outage !== null) {
      this.#initiative = past.outage.initiative;
      this.#outage = { ...past.outage, probesSent: 0, probesReceived: 0 };
      this.explore("restart");
    }
    if (!this.#shim.isOperational(this.#context.locators.local)) this.explore("local-locator-lost");
  }

  /** For {@link takeUp} in another run. */
  get past(): ReapPast {
    if (this.#past !== undefined) return this.#past;
    const { allowance } = this.#context;
    const outage = this.#outage && {
      lastHeard: this.#outage.lastHeard,
      startedAt: this.#outage.startedAt,
      initiative: this.#initiative,
    };
    return {
      heardAt: this.#heardAt,
      outage: outage ?? null,
      allowance: allowance.left(this.#traffic ?? { packetsIn: 0, bytesIn: 0 }),
    };
  }

  /** Asks at once whether the preferred pair works, and goes to it when it does. */
  seekPreferred(): void {
    this.#failBack.seek();
    this.#readings.request();
  }

  /** Another pair is preferred, or the context is pinned to one, or not any more. */
  handleChoiceChanged(): void {
    this.#orders.applyErrorPolicy();
    if (this.#state !== "Operational") this.#exploration.restart(this.#choice.ordered());
    this.seekPreferred();
  }

  get betterPairs(): readonly WatchedPairView[] {
    return this.#failBack.view;
  }

  get state(): ReapState {
    return this.#state;
  }

  get traffic(): TrafficSnapshot | undefined {
    return this.#traffic;
  }

  get deadline(): Deadline | undefined {
    const { tag } = this.#context;
    const check = this.#check;
    const [at, reason] =
      this.#state === "Operational"
        ? ([this.#failBack.deadline, "fail-back"] as const)
        : ([this.#exploration.nextProbe, "probe"] as const);
    if (at !== undefined && (check === undefined || at < check.at)) return { at, reason, tag };
    return check && { at: check.at, reason: check.reason, tag };
  }

  handleProbe(message: Probe, arrival: AddressPair): void {
    this.probesReceived += 1;
    this.#enqueue({ event: `probe-${message.state}`, probe: { message, arrival } });
  }

  handleKeepalive(): void {
    this.keepalivesReceived += 1;
    this.#enqueue({ event: "keepalive" });
  }

  handleInboundPayload(): void {
    // Only in Exploring does payload change the state; elsewhere the snapshot tells enough.
    if (this.#state === "Exploring") this.#enqueue({ event: "payload-in" });
  }

  /** A control message other than Probe and Keepalive counts as payload (RFC 5534 section 6.1). */
  handleControlTraffic(direction: TrafficDirection): void {
    this.#enqueue({ event: direction === "in" ? "payload-in" : "payload-out" });
  }

  /** The instant of `deadline` has come. */
  handleTimeout(): void {
    this.#readings.request();
  }

  /** The answer to "await-traffic". */
  handleTrafficResumed(): void {
    this.#readings.request();
  }

  /** Ls(local), Ls(peer) or the state of a local locator has changed. */
  handleLocatorsChanged(now: Instant): void {
    this.#orders.applyErrorPolicy();
    this.#failBack.invalidate();
    if (this.#state !== "Operational") {
      this.#exploration.restart(this.#choice.ordered());
      this.#exploration.hasten(now);
      return;
    }
    const { local, peer } = this.#context.locators;
    const usable = this.#context.peerLocators.some(
      ({ address, broken }) => address === peer && !broken,
    );
    if (!this.#shim.isOperational(local)) this.explore("local-locator-lost");
    else if (!usable) this.explore("peer-locator-lost");
  }

  /**
   * The peer has made the context anew, and the exchange has proven `arrival` both ways: that
   * ends an exploration. The peer's tag in our mapping has changed in any case.
   */
  handlePeerRenewed(arrival: AddressPair): void {
    this.#enqueue({ event: "peer-renewed", proven: arrival });
  }

  /** Somebody says that the current pair is dead. It may not be true. */
  handleSuspicion(now: Instant, cause: HostSuspicion | "icmp-error" = "icmp-error"): void {
    const last = this.#suspectedAt;
    if (last !== undefined && between(last, now) < SUSPICION_INTERVAL) return;
    this.#suspectedAt = now;
    const testable = cause === "icmp-error" && this.#state === "Operational";
    if (testable && this.#detector?.suspicion.doubt(now) === true) this.#readings.request();
    else this.explore(cause);
  }

  explore(cause: ExplorationCause): void {
    this.#enqueue({ event: "explore", cause });
  }

  /** The answer to "read-traffic": handles what was queued, then whatever is due. */
  handleTraffic(now: Instant, traffic: TrafficSnapshot): void {
    this.#traffic = traffic;
    if (this.#past !== undefined) {
      this.#context.allowance.takeUp(this.#past.allowance, traffic);
      this.#timers.takeUp(now, this.#state, traffic, this.#spans);
      this.#past = undefined;
    }
    for (const occurrence of this.#occurrences.splice(0)) this.#process(now, occurrence);
    this.#runTimers(now);
    this.#runDetector(now);
    const probeAt = this.#exploration.nextProbe;
    if (probeAt !== undefined && probeAt <= now) this.#process(now, { event: "retransmission" });
    if (this.#state === "Operational") this.#watchBetterPairs(now);
    this.#check = this.#readings.next(now, this.#state, this.#traffic, this.#spans);
  }

  #runDetector(now: Instant): void {
    if (this.#state !== "Operational" || this.#traffic === undefined) return;
    const done = this.#detector?.run(now, this.#traffic, this.#spans.sendTimeout);
    if (done === "failed") return this.#process(now, { event: "explore", cause: "suspicion" });
    if (done === undefined) return;
    this.probesSent += 1;
    this.#exploration.forgetSent();
  }

  #runTimers(now: Instant): void {
    for (let i = 0; i < TIMEOUTS_PER_READING && this.#traffic !== undefined; i++) {
      const timeout = this.#timers.due(now, this.#state, this.#traffic, this.#spans);
      if (timeout === undefined) return;
      if (timeout === "keepalive") {
        this.#timers.keepaliveSent();
        this.#sendKeepalive();
      } else {
        this.#process(now, { event: timeout, cause: "send-timeout" });
      }
    }
  }

  /** A shorter Send Timeout holds once the peer knows of it, and sends keepalives in time. */
  get #spans(): ReapSpans {
    const { sendTimeout, sendTimerFactor, keepaliveTimeout } = this.#context;
    const longer = Math.max(sendTimeout, this.#shim.sendTimeout) as Duration;
    return { sendTimeout: scale(longer, sendTimerFactor), keepaliveTimeout };
  }

  #enqueue(occurrence: Occurrence): void {
    this.#occurrences.push(occurrence);
    this.#readings.request();
  }

  /** One step of the table in reap.ts. */
  #process(now: Instant, occurrence: Occurrence): void {
    const before = this.#state;
    const traffic = this.#traffic;
    if (traffic === undefined) throw new Error("REAP ran without a traffic snapshot");
    const sending = this.#timers.sendStart(before, traffic) !== undefined;
    const aside = this.#isFailBackAnswer(now, occurrence, traffic) && sending;
    const transition = aside ? NOTHING : REAP[occurrence.event][before];
    const keeping = this.#timers.keepaliveStart(before, traffic) !== undefined;
    if (transition.next !== undefined) this.#state = transition.next;
    this.#changeState(now, before, occurrence);
    if (this.#timers.applySend(now, transition.sendTimer, sending)) this.#mark("out");
    if (this.#timers.applyKeepalive(now, transition.keepaliveTimer, keeping)) this.#mark("in");
    if (occurrence.event === "keepalive") this.#heardAt = now;
    if (occurrence.probe !== undefined) this.#noteProbe(now, occurrence, before);
    if (occurrence.proven !== undefined) this.#renew(now, before, occurrence.proven);
    if (transition.message === "probe") this.#sendProbe(now, occurrence);
    if (transition.message === "keepalive") this.#sendKeepalive();
    if (this.#state === "Operational" && before !== "Operational") this.#finishOutage(now);
  }

  #mark(direction: TrafficDirection): void {
    this.#shim.emit({ type: "mark-traffic", tag: this.#context.tag, direction });
    if (this.#traffic === undefined) return;
    const answered =
      direction === "out" ? { firstUnansweredOut: undefined } : { firstUnansweredIn: undefined };
    this.#traffic = { ...this.#traffic, ...answered };
  }

  #changeState(now: Instant, before: ReapState, occurrence: Occurrence): void {
    if (isOwnCause(occurrence.cause, this.#traffic)) this.#initiative = true;
    if (before === this.#state) return;
    if (before === "Operational") this.#beginOutage(now, occurrence.cause);
    this.#failBack.suspend();
    this.#detector?.suspicion.reset();
    if (before === "Operational" || this.#state === "Operational") {
      this.#shim.noteChange(this.#context);
    }
    if (before === "Exploring") this.#orders.watch(false);
    if (this.#state === "Exploring") {
      this.#orders.watch(true);
      this.#exploration.forgetReceived();
      const cause = occurrence.cause ?? "send-timeout";
      this.#shim.report(now, this.#context, { event: "exploring", cause });
    }
    if (this.#state === "InboundOk") {
      if (before === "Exploring") this.#exploration.restart(this.#choice.ordered());
      this.#shim.report(now, this.#context, { event: "inboundok" });
    }
  }

  #beginOutage(now: Instant, cause: ExplorationCause | undefined): void {
    const lastIn = this.#traffic?.lastIn;
    // One that an earlier run began is there already.
    this.#outage ??= {
      lastHeard: lastIn !== undefined && lastIn > this.#heardAt ? lastIn : this.#heardAt,
      startedAt: now,
      probesSent: this.probesSent,
      probesReceived: this.probesReceived,
    };
    // What may well work is tried first, else last.
    const isDoubtful = cause === "icmp-error" || cause === "resumed";
    if (!isDoubtful && cause !== "command")
      this.#context.paths.noteFailure(now, this.#context.locators);
    const pairs = isDoubtful ? this.#choice.currentFirst() : this.#choice.ordered();
    this.#exploration.begin(pairs);
  }

  #finishOutage(now: Instant): void {
    this.#exploration.finish();
    this.#initiative = false;
    if (this.#outage === undefined) return;
    const cost = costOf(this.#outage, now, this);
    this.#outage = undefined;
    const { locators } = this.#context;
    this.#shim.report(now, this.#context, { event: "recovered", locators, ...cost });
  }

  /** Takes from a received probe what it tells about pairs. */
  #noteProbe(now: Instant, { event, probe }: Occurrence, before: ReapState): void {
    if (probe === undefined) return;
    this.#heardAt = now;
    this.#context.paths.noteReceived(now, probe.arrival, probe.message);
    const [itself] = probe.message.sentProbes;
    if (itself !== undefined) this.#exploration.recordReceived(itself, probe.arrival);
    const confirmed = this.#exploration
      .confirmedBy(probe.message.receivedProbes)
      .filter((pair) => this.#context.hasPair(pair));
    this.#noteReachable(confirmed);
    if (event === "probe-exploring") return;
    // A report that comes late, once all is well, is no reason to leave the pair that works: RFC
    // 5534 section 6.9 has none chosen then.
    const isSettled = event === "probe-operational" && before === "Operational";
    const { locators } = this.#context;
    const chosen = this.#choice.best(isSettled ? [locators, ...confirmed] : confirmed);
    if (chosen !== undefined && !samePair(chosen, locators)) {
      this.#switchTo(now, chosen, "exploration");
    }
    this.#takeFailBackAnswers(now, probe.message);
  }

  /**
   * An answer to a probe over another pair says nothing of the current one, unless it answers a test
   * of that one, too: payload that waits for its own answer there goes on waiting.
   */
  #isFailBackAnswer(now: Instant, { event, probe }: Occurrence, traffic: TrafficSnapshot): boolean {
    if (event !== "probe-operational" || probe === undefined) return false;
    if (this.#detector?.takeAnswer(now, probe.message, traffic) === true) return false;
    return this.#failBack.isAnsweredBy(probe.message.receivedProbes);
  }

  #takeFailBackAnswers(now: Instant, { receivedProbes }: Probe): void {
    const good = this.#failBack.takeAnswers(now, receivedProbes);
    if (good === undefined) return;
    this.#noteReachable([good.pair]);
    this.#switchTo(now, good.pair, good.wanted ? "command" : "fail-back");
  }

  #watchBetterPairs(now: Instant): void {
    // The answer about a pair that somebody asks for comes by the current one, which may be dead.
    if (this.#failBack.isSeeking && this.#waitsFor(now) >= RECHECK_MIN) {
      return this.#process(now, { event: "explore", cause: "command" });
    }
    const sent = this.#failBack.probe(now, this.#isSteady(now));
    if (sent === 0) return;
    this.probesSent += sent;
    this.#exploration.forgetSent();
  }

  /** The peer was heard a moment ago, and nothing of ours waits for an answer for longer. */
  #isSteady(now: Instant): boolean {
    const heardAt = latest(this.#heardAt, this.#traffic?.lastIn);
    return this.#waitsFor(now) <= STEADY_TIME && between(heardAt, now) <= STEADY_TIME;
  }

  /** How long payload has been without an answer. */
  #waitsFor(now: Instant): Duration {
    return between(this.#traffic?.firstUnansweredOut ?? now, now);
  }

  #noteReachable(confirmed: readonly AddressPair[]): void {
    const { reachable } = this.#context;
    const before = reachable.size;
    for (const { peer } of confirmed) reachable.add(peer);
    if (reachable.size > before) this.#shim.noteChange(this.#context);
  }

  /** The peer's tag has changed; what was current stays so unless it was in doubt. */
  #renew(now: Instant, before: ReapState, proven: AddressPair): void {
    this.#heardAt = now;
    const { locators } = this.#context;
    this.#context.paths.noteProven(now, proven);
    const doubtful = before !== "Operational" || !this.#context.hasPair(locators);
    const isNew = !samePair(proven, locators) && this.#choice.allows(proven);
    if (doubtful && isNew) this.#switchTo(now, proven, "peer-renewed");
    else this.#orders.applyMapping();
  }

  #switchTo(now: Instant, to: AddressPair, cause: SwitchCause): void {
    const context = this.#context;
    const from = context.locators;
    if (cause === "exploration") this.#failBack.noteFailure(now, from);
    this.#failBack.invalidate();
    context.locators = to;
    context.switches += 1;
    context.lastSwitchAt = now;
    this.#detector?.suspicion.forgetPair();
    this.#shim.noteChange(context);
    this.#orders.applyMapping();
    this.#shim.report(now, context, { event: "switched", from, to, cause });
  }

  #sendProbe(now: Instant, { event, probe }: Occurrence): void {
    const { random } = this.#shim;
    const pair = this.#probePair(probe?.arrival);
    if (this.#state !== "Operational") {
      if (event === "probe-exploring") this.#exploration.postpone(now, random);
      else this.#exploration.schedule(now, random);
    }
    const receiverContextTag = this.#context.peerTag;
    if (pair === undefined || receiverContextTag === undefined) return;
    const message: Probe = {
      type: "Probe",
      receiverContextTag,
      state: PROBE_STATES[this.#state],
      sentProbes: this.#exploration.recordSent(pair, random.uint32()),
      receivedProbes: this.#exploration.receivedReports,
      options: [],
    };
    if (!this.#maySend(now, pair, message)) return this.#shim.counters.add("drop-probe-allowance");
    this.probesSent += 1;
    this.#context.paths.noteSent(now, pair, message);
    this.#shim.send(pair, message, this.#context.tag);
  }

  /** Where the peer has answered before, and where payload goes anyway, a probe harms nobody. */
  #maySend(now: Instant, { peer }: AddressPair, message: Probe): boolean {
    if (this.#context.isProvenAt(peer) || this.#traffic === undefined) return true;
    if (this.#initiative) return this.#shim.unprovenPackets.take(now, peer);
    return this.#context.allowance.take(packetLength(message), this.#traffic);
  }

  #probePair(arrival: AddressPair | undefined): AddressPair | undefined {
    if (this.#state === "Operational") return this.#context.locators;
    return arrival === undefined
      ? this.#exploration.nextPair()
      : this.#exploration.answerPair(arrival);
  }

  #sendKeepalive(): void {
    const { peerTag, locators, tag } = this.#context;
    if (peerTag === undefined) return;
    this.keepalivesSent += 1;
    const message: Keepalive = { type: "Keepalive", receiverContextTag: peerTag, options: [] };
    this.#shim.send(locators, message, tag);
  }

  /** When the context was last of use, as far as the last reading tells. */
  lastUsed(): Instant {
    return this.#readings.lastUsed(this.#traffic);
  }
}
