import { SURVEYED_PAIRS_MAX } from "../../core/defaults.ts";
import type { Endpoint } from "../../core/endpoint.ts";
import type { AddressPair, ContextEvent } from "../../core/output.ts";
import { samePair } from "../../core/output.ts";
import type { SurveyedPair } from "../../core/survey.ts";
import { after, type Instant, milliseconds, seconds } from "../../core/time.ts";
import type { ContextView } from "../../core/view.ts";
import type { Address } from "../../wire/address.ts";
import { failure, type Result, success } from "../../wire/result.ts";
import { type ContextTag, formatTag } from "../../wire/tag.ts";
import type { PeerSurvey, SurveyedPairStatus } from "../api.ts";
import { type Clock, inSeconds, isoTime } from "../clock.ts";
import { type EchoOutcome, type EchoSystem, tryEchoes } from "./echoes.ts";

/** As {@link import("../api.ts").SurveyRequest}, with what it leaves out. */
export interface SurveyWish {
  readonly peer: Address;
  readonly rounds: number;
  readonly echoes: boolean;
}

export interface SurveySurroundings {
  readonly endpoint: Endpoint;
  readonly clock: Clock;
  readonly echoes: EchoSystem;
  /** As of the driver; `undefined` when the daemon is stopping. */
  run<Value>(command: (endpoint: Endpoint, now: Instant) => Value): Value | undefined;
}

const INTERVAL = milliseconds(300);
/** What a new context is given: the first I1 and its answer, or one that is sent again. */
const ESTABLISHMENT_PATIENCE = seconds(7);

/** Runs surveys with peers, and keeps what the last one of each context has found. */
export class PeerSurveys {
  readonly #surroundings: SurveySurroundings;
  readonly #found = new Map<ContextTag, PeerSurvey>();
  readonly #waiting = new Map<number, (pairs: readonly SurveyedPair[]) => void>();
  readonly #expecting = new Map<ContextTag, () => void>();

  constructor(surroundings: SurveySurroundings) {
    this.#surroundings = surroundings;
  }

  /** What the context's last survey has found. */
  found(tag: ContextTag): PeerSurvey | undefined {
    return this.#found.get(tag);
  }

  handleSurveyed(survey: number, pairs: readonly SurveyedPair[]): void {
    this.#waiting.get(survey)?.(pairs);
    this.#waiting.delete(survey);
  }

  handleEvent({ event, tag }: ContextEvent): void {
    if (event === "closed") this.#found.delete(tag);
    if (event === "established" || event === "failed" || event === "closed") {
      this.#expecting.get(tag)?.();
    }
  }

  /** @throws SystemError where ICMPv6 can't be used */
  async survey({ peer, rounds, echoes }: SurveyWish): Promise<Result<PeerSurvey, string>> {
    const ulids = this.#ulidsWith(peer);
    if (ulids === undefined) return failure("this host has no locator that works");
    const context = await this.#establish(ulids);
    const pairs = pairsOf(context, this.#surroundings.endpoint, peer);
    const trial = this.#try(ulids, pairs, rounds);
    if (trial === undefined) return failure("a survey with this peer is under way already");
    const isMoved = context !== undefined && !samePair(context.locators, context.ulids);
    const plain = pairs.filter((pair) => !isMoved || !samePair(pair, ulids));
    const [surveyed, echoed] = await Promise.all([
      trial,
      echoes ? tryEchoes(this.#surroundings.echoes, this.#surroundings.clock, plain) : [],
    ]);
    const found = this.#report(ulids, context?.tag, surveyed, echoed);
    // Without echoes nobody knows whether the path or the protocol is dropped there.
    if (context !== undefined && echoes) this.#found.set(context.tag, found);
    return success(found);
  }

  /** Of a context with the peer, else of one that might be established. */
  #ulidsWith(peer: Address): AddressPair | undefined {
    const { endpoint } = this.#surroundings;
    const known = endpoint.contexts().filter(({ forkedInstance, ulids, peerLocators }) => {
      const isThere = ulids.peer === peer || peerLocators.some(({ address }) => address === peer);
      return forkedInstance === 0 && isThere;
    });
    const best = known.find(({ state }) => state === "ESTABLISHED") ?? known[0];
    if (best !== undefined) return best.ulids;
    const working = endpoint.localLocators.filter(({ operational }) => operational);
    const local = working.find(({ prover }) => prover !== undefined) ?? working[0];
    return local && { local: local.address, peer };
  }

  /** The ESTABLISHED context of the pair, if there is one or it comes within a few seconds. */
  async #establish(ulids: AddressPair): Promise<ContextView | undefined> {
    if (this.#contextOf(ulids) === undefined) {
      this.#surroundings.run((endpoint, now) => endpoint.open(now, ulids));
    }
    const context = this.#contextOf(ulids);
    if (context !== undefined && isUnderWay(context)) await this.#endOfExchange(context);
    const established = this.#contextOf(ulids);
    return established?.state === "ESTABLISHED" ? established : undefined;
  }

  async #endOfExchange({ tag }: ContextView): Promise<void> {
    const { clock } = this.#surroundings;
    await new Promise<void>((resolve) => {
      const cancel = clock.schedule(after(clock.now(), ESTABLISHMENT_PATIENCE), resolve);
      this.#expecting.set(tag, () => {
        cancel();
        resolve();
      });
    });
    this.#expecting.delete(tag);
  }

  #contextOf(ulids: AddressPair): ContextView | undefined {
    return this.#surroundings.endpoint
      .contexts()
      .find((view) => view.forkedInstance === 0 && samePair(view.ulids, ulids));
  }

  #try(
    ulids: AddressPair,
    pairs: readonly AddressPair[],
    rounds: number,
  ): Promise<readonly SurveyedPair[]> | undefined {
    const order = { ulids, pairs, rounds, interval: INTERVAL };
    let over: (pairs: readonly SurveyedPair[]) => void = () => undefined;
    const outcome = new Promise<readonly SurveyedPair[]>((resolve) => {
      over = resolve;
    });
    // It may be over before `run` returns.
    const id = this.#surroundings.run((endpoint, now) => {
      const begun = endpoint.survey(now, order);
      if (begun !== undefined) this.#waiting.set(begun, over);
      return begun;
    });
    return id === undefined ? undefined : outcome;
  }

  #report(
    { local, peer }: AddressPair,
    tag: ContextTag | undefined,
    surveyed: readonly SurveyedPair[],
    echoed: readonly EchoOutcome[],
  ): PeerSurvey {
    const { clock } = this.#surroundings;
    return {
      localUlid: local,
      peerUlid: peer,
      at: isoTime(clock, clock.now()),
      context: tag === undefined ? null : formatTag(tag),
      pairs: surveyed.map((pair) =>
        pairStatus(
          pair,
          echoed.find((echo) => samePair(echo.pair, pair.locators)),
        ),
      ),
    };
  }
}

function isUnderWay({ state }: ContextView): boolean {
  return state === "I1-SENT" || state === "I2-SENT" || state === "I2BIS-SENT";
}

/** All of the context; without one those that lead from this host to the address. */
function pairsOf(
  context: ContextView | undefined,
  { localLocators }: Endpoint,
  peer: Address,
): AddressPair[] {
  const locals = (context?.localLocators ?? localLocators).filter(({ operational }) => operational);
  const peers = context?.peerLocators.map(({ address }) => address) ?? [peer];
  return locals
    .flatMap(({ address: local }) => peers.map((address) => ({ local, peer: address })))
    .slice(0, SURVEYED_PAIRS_MAX);
}

/** What got back has got there before; what did not get there says nothing of the way back. */
function pairStatus(surveyed: SurveyedPair, echo: EchoOutcome | undefined): SurveyedPairStatus {
  const { locators, sent, roundTrips, asked, reported, refused } = surveyed;
  const gotBack = roundTrips.length > 0;
  const gotThere = gotBack || reported > 0;
  return {
    localLocator: locators.local,
    peerLocator: locators.peer,
    there: gotThere || asked > 0 ? gotThere : null,
    back: gotThere && sent > 0 ? gotBack : null,
    refused,
    sent,
    roundTrips: roundTrips.map(inSeconds),
    probesSent: asked,
    probesReported: reported,
    echo:
      echo === undefined
        ? null
        : { answered: echo.answered, size: echo.size ?? null, sizePasses: echo.sizePasses },
  };
}
