import type { ProbeReport } from "../wire/message.ts";
import {
  PROBE_JITTER,
  PROBES_REMEMBERED,
  RECEIVED_REPORTS_MAX,
  SENT_REPORTS_MAX,
} from "./defaults.ts";
import { type AddressPair, inForm, isEncapsulated, pairKey } from "./output.ts";
import type { Random } from "./random.ts";
import { INITIAL_PROBE_TIMEOUT, MAX_PROBE_TIMEOUT, NUMBER_OF_INITIAL_PROBES } from "./rfc5534.ts";
import { after, type Duration, type Instant, scale } from "./time.ts";

/** A probe of ours; the report does not tell in which form it left. */
interface SentProbe {
  readonly pair: AddressPair;
  readonly report: ProbeReport;
}

/**
 * One exploration of a context's locator pairs (RFC 5534 section 4.3): which pair is next,
 * when, what was sent and what was received.
 */
export class Exploration {
  #pairs: readonly AddressPair[] = [];
  #position = 0;
  #scheduled = 0;
  #nextProbe: Instant | undefined;
  readonly #sent: SentProbe[] = [];
  readonly #reported = new Set<number>();
  readonly #received = new Map<string, ProbeReport>();
  readonly #answered = new Set<string>();

  /** When the next probe is due; `undefined` when none is. */
  get nextProbe(): Instant | undefined {
    return this.#nextProbe;
  }

  /** What has come in, oldest first; as many reports as one probe carries. */
  get receivedReports(): ProbeReport[] {
    return [...this.#received.values()].slice(-RECEIVED_REPORTS_MAX);
  }

  /** Forgets everything: a new exploration begins with these pairs, in this order. */
  begin(pairs: readonly AddressPair[]): void {
    this.forgetSent();
    this.#received.clear();
    this.restart(pairs);
  }

  /** The pairs have changed, or the peer has been heard: from the first pair, at the first rate. */
  restart(pairs: readonly AddressPair[]): void {
    this.#pairs = pairs;
    this.#position = 0;
    this.#scheduled = 0;
    this.#answered.clear();
  }

  /** Something has changed for the better: the next probe goes out at once. */
  hasten(now: Instant): void {
    this.#nextProbe = now;
  }

  /** The exploration is over; reports about its probes still count. */
  finish(): void {
    this.#nextProbe = undefined;
    this.#answered.clear();
  }

  /** What reports say of these probes from now on is too old to go by. */
  forgetSent(): void {
    this.#sent.length = 0;
    this.#reported.clear();
  }

  /** Forgets received probes: reports name those since the last transition to Exploring only. */
  forgetReceived(): void {
    this.#received.clear();
  }

  /** The next pair in turn, round and round; `undefined` when there is none at all. */
  nextPair(): AddressPair | undefined {
    const pair = this.#pairs[this.#position % this.#pairs.length];
    this.#position += 1;
    return pair;
  }

  /**
   * The pair for an answer to a probe that came over `arrival`: the same one the other way, as
   * in the examples of RFC 5534 appendix A. When that was tried already, the next in turn.
   */
  answerPair(arrival: AddressPair): AddressPair | undefined {
    const known = this.#pairs.some((pair) => pairKey(pair) === pairKey(arrival));
    if (!known || this.#answered.has(pairKey(arrival))) return this.nextPair();
    this.#answered.add(pairKey(arrival));
    return arrival;
  }

  /** Sets the timer for the next probe: four at the initial interval, then doubling. */
  schedule(now: Instant, random: Random): void {
    this.#scheduled += 1;
    this.#nextProbe = after(now, this.#interval(random));
  }

  /** An answer went out: the next scheduled probe waits its interval from now. */
  postpone(now: Instant, random: Random): void {
    this.#scheduled = Math.max(this.#scheduled, 1);
    this.#nextProbe = after(now, this.#interval(random));
  }

  #interval(random: Random): Duration {
    const interval = probeInterval(this.#scheduled);
    if (interval === INITIAL_PROBE_TIMEOUT) return interval;
    return scale(interval, random.between(1 - PROBE_JITTER, 1 + PROBE_JITTER));
  }

  /** Notes a probe of ours; the reports for its message, itself first. */
  recordSent(pair: AddressPair, nonce: number): ProbeReport[] {
    const report = { source: pair.local, destination: pair.peer, nonce, data: 0 };
    this.#sent.unshift({ pair, report });
    this.#sent.length = Math.min(this.#sent.length, PROBES_REMEMBERED);
    const reports = this.#sent.slice(1).map((sent) => sent.report);
    const earlier = reports.filter((other) => !this.#reported.has(other.nonce));
    return [report, ...earlier.slice(0, SENT_REPORTS_MAX - 1)];
  }

  /** Notes a probe of the peer's, the latest of each pair in each form. */
  recordReceived(probe: ProbeReport, arrival: AddressPair): void {
    const key = pairKey(
      inForm({ local: probe.destination, peer: probe.source }, isEncapsulated(arrival)),
    );
    this.#received.delete(key);
    this.#received.set(key, probe);
  }

  /** The pairs of those probes of ours whose nonces the peer reports. */
  confirmedBy(reports: readonly ProbeReport[]): AddressPair[] {
    const pairs: AddressPair[] = [];
    for (const report of reports) {
      const mine = this.#sent.find((sent) => sent.report.nonce === report.nonce);
      if (mine === undefined) continue;
      this.#reported.add(report.nonce);
      pairs.push(mine.pair);
    }
    return pairs;
  }
}

/** Between the probe of this number, from 1 on, and the next one, without jitter. */
function probeInterval(number: number): Duration {
  const doublings = Math.max(0, number - NUMBER_OF_INITIAL_PROBES + 1);
  return Math.min(MAX_PROBE_TIMEOUT, INITIAL_PROBE_TIMEOUT * 2 ** doublings) as Duration;
}

/** From the first probe of an exploration to that of the last of so many pairs, at most. */
export function longestSearch(pairs: number): Duration {
  let sum = 0;
  for (let number = 1; number < pairs; number += 1) {
    const interval = probeInterval(number);
    sum += interval === INITIAL_PROBE_TIMEOUT ? interval : interval * (1 + PROBE_JITTER);
  }
  return sum as Duration;
}
