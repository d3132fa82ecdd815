import type { LocalLocator } from "../../core/config.ts";
import type { ContextEvent } from "../../core/output.ts";
import { DataPlaneError } from "../../dataplane/dataplane.ts";
import { failure, type Result, success } from "../../wire/result.ts";
import type { DrillReport, DrillStart, Warning } from "../api.ts";
import type { Uplink } from "../host/uplinks.ts";
import { chooseUplink, lackOfAnother } from "./choose-uplink.ts";
import { Drill, type DrillParts, type DrillWish } from "./drill.ts";

/** Rehearsals of an uplink's death, one at a time. Whatever ends one, the uplink works again. */
export class Drills {
  readonly #parts: DrillParts;
  #current: Drill | undefined;

  constructor(parts: DrillParts) {
    this.#parts = parts;
  }

  /**
   * Resolves when it is over, with a report unless nobody waits for that. Fails with a sentence.
   * @param started called when the uplink is dead
   * @param gone aborted when whoever wished for it has gone: ends it
   */
  async run(
    wish: DrillWish,
    started: (start: DrillStart) => void,
    gone: AbortSignal,
  ): Promise<Result<DrillReport | undefined, string>> {
    const { uplinks, warn } = this.#parts;
    const chosen = chooseUplink(wish.uplink, uplinks());
    if (!chosen.ok) return chosen;
    const problem = this.#refusal(chosen.value, wish);
    if (problem !== undefined) return failure(problem);
    const drill = new Drill(this.#parts, chosen.value, wish);
    this.#current = drill;
    if (gone.aborted) drill.end("abandoned");
    gone.addEventListener("abort", () => drill.end("abandoned"), { once: true });
    try {
      return success(await drill.run(started));
    } catch (error) {
      if (!(error instanceof DataPlaneError)) throw error;
      warn(error);
      return failure(`${error.message}. ${error.remedy}`);
    } finally {
      this.#current = undefined;
    }
  }

  /** Ends the one that there is. False when there is none. */
  end(): boolean {
    return this.#current?.end("command") ?? false;
  }

  /** The daemon ends: resolves when the uplink works again. */
  async stop(): Promise<void> {
    this.#current?.end("abandoned");
    await this.#current?.undone;
  }

  handleEvent(event: ContextEvent): void {
    this.#current?.handleEvent(event);
  }

  /** The host's locators as the endpoint is to see them. */
  shown(locators: readonly LocalLocator[]): readonly LocalLocator[] {
    return this.#current?.shown(locators) ?? locators;
  }

  warnings(): Warning[] {
    return this.#current?.warnings() ?? [];
  }

  #refusal(uplink: Uplink, { force }: DrillWish): string | undefined {
    if (this.#current !== undefined) return "another drill goes on; only one does at a time";
    if (uplink.problem !== undefined) return `${uplink.interface} is dead: ${uplink.problem}`;
    return force ? undefined : lackOfAnother(uplink, this.#parts.uplinks());
  }
}
