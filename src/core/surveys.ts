import type { I1, R1, R2 } from "../wire/message.ts";
import type { Context } from "./context.ts";
import { SURVEYS_MAX } from "./defaults.ts";
import type { AddressPair } from "./output.ts";
import type { Shim } from "./shim.ts";
import { Survey, type SurveyOrder } from "./survey.ts";
import { earliest, type Instant } from "./time.ts";

/** The surveys under way, of pairs with or without a context. */
export class Surveys {
  readonly #shim: Shim;
  readonly #running = new Set<Survey>();
  #count = 0;

  constructor(shim: Shim) {
    this.#shim = shim;
  }

  get deadline(): Instant | undefined {
    return earliest(...[...this.#running].map(({ at }) => at));
  }

  /** @returns its number; `undefined` when one of this ULID pair, or too many, are under way */
  begin(now: Instant, order: SurveyOrder): number | undefined {
    const context = this.#contextOf(order.ulids);
    if (this.#running.size >= SURVEYS_MAX || context?.survey !== undefined) return undefined;
    this.#count += 1;
    const survey = new Survey(now, this.#count, this.#shim, order);
    this.#running.add(survey);
    if (context !== undefined) context.survey = survey;
    this.handleTimeout(now);
    return survey.id;
  }

  handleTimeout(now: Instant): void {
    for (const survey of this.#running) {
      if (survey.at > now) continue;
      survey.step(now, this.#contextOf(survey.ulids));
      this.#settle(now, survey);
    }
  }

  /** An answer to an I1 has come. False when none of a survey asked for it. */
  handleAnswer(now: Instant, { initiatorNonce }: R1 | R2, arrival: AddressPair): boolean {
    return this.#find(now, (survey) => survey.takeAnswer(now, initiatorNonce, arrival));
  }

  /** The peer does not know the protocol of this I1. False when it is none of a survey's. */
  handleRefusal(now: Instant, { initiatorNonce }: I1, sent: AddressPair): boolean {
    return this.#find(now, (survey) => survey.takeRefusal(initiatorNonce, sent));
  }

  /** The context may have had reports of its peer. */
  handleTraffic(now: Instant, { survey }: Context): void {
    if (survey !== undefined) this.#settle(now, survey);
  }

  #find(now: Instant, takes: (survey: Survey) => boolean): boolean {
    const survey = [...this.#running].find(takes);
    if (survey === undefined) return false;
    this.#settle(now, survey);
    return true;
  }

  #settle(now: Instant, survey: Survey): void {
    if (!survey.isOver(now)) return;
    this.#running.delete(survey);
    const context = this.#contextOf(survey.ulids);
    if (context?.survey === survey) context.survey = undefined;
    this.#shim.emit({ type: "surveyed", survey: survey.id, pairs: survey.result });
  }

  #contextOf(ulids: AddressPair): Context | undefined {
    const context = this.#shim.contexts.byUlids(ulids, 0);
    return context?.state === "ESTABLISHED" ? context : undefined;
  }
}
