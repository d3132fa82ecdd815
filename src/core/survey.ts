import type { I1, Option, ProbeReport } from "../wire/message.ts";
import type { Context } from "./context.ts";
import { SURVEY_ANSWER_TIME } from "./defaults.ts";
import { type AddressPair, samePair } from "./output.ts";
import { askPair } from "./question.ts";
import type { Shim } from "./shim.ts";
import { after, between, type Duration, type Instant } from "./time.ts";

/** What is to be tried. */
export interface SurveyOrder {
  readonly ulids: AddressPair;
  /** Locator pairs, the ULIDs' own among them or not. */
  readonly pairs: readonly AddressPair[];
  /** How often each is tried, 1 or more, and how long after the time before. */
  readonly rounds: number;
  readonly interval: Duration;
}

/** What came of one pair. */
export interface SurveyedPair {
  readonly locators: AddressPair;
  /** I1s that have left, which the peer answers over the same pair. */
  readonly sent: number;
  /** Of each answer, from the I1 on. */
  readonly roundTrips: readonly Duration[];
  /** Probes that have left, which the peer reports over its current pair; 0 without a context. */
  readonly asked: number;
  /** Those that it has reported: they tell of the way there alone. */
  readonly reported: number;
  /** An ICMPv6 error says that the peer does not know protocol 140. */
  readonly refused: boolean;
}

/** An I1 or a Probe that has left. */
interface Question {
  readonly entry: Entry;
  readonly sentAt: Instant;
}

class Entry {
  readonly locators: AddressPair;
  sent = 0;
  asked = 0;
  reported = 0;
  refused = false;
  readonly roundTrips: Duration[] = [];

  constructor(locators: AddressPair) {
    this.locators = locators;
  }
}

/**
 * Tries locator pairs in both directions, whether payload uses them or not. There and back: an I1
 * with a tag of its own, to which a host answers R1 over the same pair and keeps no state (RFC
 * 5533 sections 7.9 and 7.10), whether there is a context or not. There alone: a Probe as
 * {@link askPair} sends it, within a context that is Operational.
 */
export class Survey {
  readonly id: number;
  /** The next round, or the end of patience. */
  at: Instant;
  readonly #shim: Shim;
  readonly #order: SurveyOrder;
  readonly #entries: readonly Entry[];
  /** By the nonce that an answer repeats. */
  readonly #exchanges = new Map<number, Question>();
  readonly #probes = new Map<number, Question>();
  /** Probes that are due; they leave once the context has shown that it is Operational. */
  #due: readonly Entry[] = [];
  #rounds = 0;

  constructor(now: Instant, id: number, shim: Shim, order: SurveyOrder) {
    this.id = id;
    this.at = now;
    this.#shim = shim;
    this.#order = order;
    this.#entries = order.pairs.map((pair) => new Entry(pair));
  }

  get ulids(): AddressPair {
    return this.#order.ulids;
  }

  get result(): SurveyedPair[] {
    return this.#entries.map(({ locators, sent, roundTrips, asked, reported, refused }) => {
      return { locators, sent, roundTrips, asked, reported, refused };
    });
  }

  /** Every round has been, and each question has its answer or no hope of one. */
  isOver(now: Instant): boolean {
    if (this.#rounds < this.#order.rounds) return false;
    return now >= this.at || (this.#exchanges.size === 0 && this.#isAskedOut);
  }

  /** `at` has come: the next round, if there is one. */
  step(now: Instant, context: Context | undefined): void {
    if (this.#rounds >= this.#order.rounds) return;
    this.#rounds += 1;
    const isLast = this.#rounds === this.#order.rounds;
    this.at = after(now, isLast ? SURVEY_ANSWER_TIME : this.#order.interval);
    const allowed = this.#entries.filter(({ locators }) => this.#maySend(now, locators, context));
    for (const entry of allowed) this.#sendI1(now, entry);
    if (context?.reachability?.state !== "Operational") return;
    this.#due = allowed.filter(({ locators }) => context.hasPair(locators));
    this.#shim.emit({ type: "read-traffic", tag: context.tag });
  }

  /** The context is Operational: the probes that are due leave. @returns how many */
  ask(now: Instant, context: Context): number {
    const due = this.#due;
    this.#due = [];
    for (const entry of due) {
      const nonce = askPair(now, this.#shim, context, entry.locators);
      if (nonce === undefined) return 0;
      entry.asked += 1;
      this.#probes.set(nonce, { entry, sentAt: now });
    }
    return due.length;
  }

  isAnsweredBy(reports: readonly ProbeReport[]): boolean {
    return reports.some(({ nonce }) => this.#probes.has(nonce));
  }

  /** The peer reports what has come there; a late answer counts, too. */
  takeReports(reports: readonly ProbeReport[]): void {
    for (const { nonce } of reports) {
      const probe = this.#probes.get(nonce);
      if (probe !== undefined && this.#probes.delete(nonce)) probe.entry.reported += 1;
    }
  }

  /** An R1 or R2 has come. False when it answers something else. */
  takeAnswer(now: Instant, initiatorNonce: number, arrival: AddressPair): boolean {
    const question = this.#exchanges.get(initiatorNonce);
    if (question === undefined || !samePair(question.entry.locators, arrival)) return false;
    this.#exchanges.delete(initiatorNonce);
    question.entry.roundTrips.push(between(question.sentAt, now));
    return true;
  }

  /** ICMPv6 refuses an I1 that left over `sent`. False when it is none of these. */
  takeRefusal(initiatorNonce: number, sent: AddressPair): boolean {
    const question = this.#exchanges.get(initiatorNonce);
    if (question === undefined || !samePair(question.entry.locators, sent)) return false;
    this.#exchanges.delete(initiatorNonce);
    question.entry.refused = true;
    return true;
  }

  get #isAskedOut(): boolean {
    return this.#due.length === 0 && this.#probes.size === 0;
  }

  /** A peer may name a third party's address as a locator. */
  #maySend(now: Instant, { peer }: AddressPair, context: Context | undefined): boolean {
    const isProven = context?.isProvenAt(peer) ?? false;
    return isProven || this.#shim.unprovenPackets.take(now, peer);
  }

  #sendI1(now: Instant, entry: Entry): void {
    const initiatorNonce = this.#shim.freshNonce();
    const initiatorContextTag = this.#shim.random.tag();
    const options = identityOptions(this.#order.ulids, entry.locators);
    const message: I1 = { type: "I1", initiatorContextTag, initiatorNonce, options };
    entry.sent += 1;
    this.#exchanges.set(initiatorNonce, { entry, sentAt: now });
    this.#shim.send(entry.locators, message, undefined);
  }
}

/** RFC 5533 section 5.15.6. */
function identityOptions(ulids: AddressPair, locators: AddressPair): Option[] {
  if (samePair(ulids, locators)) return [];
  const { local: senderUlid, peer: receiverUlid } = ulids;
  return [{ name: "UlidPair", critical: false, senderUlid, receiverUlid }];
}
