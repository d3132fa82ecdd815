import type { ContextEvent } from "../../core/output.ts";
import type { Instant } from "../../core/time.ts";
import { EvidenceCollector } from "./evidence.ts";
import { type Outage, OutageFinder } from "./outages.ts";
import { type ReplayedCall, Replayer, type ReplayPrimitives } from "./replayer.ts";
import { parseHeader, parseTraceLine, TraceError, type TraceHeader } from "./trace-format.ts";
import type { RecordedOutage } from "./what-if.ts";

/** A trace that went the same way again. */
export interface Replay {
  readonly header: TraceHeader;
  /** Why the trace ends; "crash" where it does not say. */
  readonly end: "stopped" | "full" | "slow" | "crash";
  readonly lastAt: Instant;
  readonly calls: number;
  readonly outputs: number;
  readonly events: readonly ContextEvent[];
  readonly outages: readonly RecordedOutage[];
}

/** Goes through the lines of a trace, and keeps what is to be shown. */
export class TraceReplay {
  header: TraceHeader | undefined;
  readonly #primitives: ReplayPrimitives;
  readonly #finder = new OutageFinder();
  readonly #evidence = new EvidenceCollector();
  readonly #outages: RecordedOutage[] = [];
  readonly #events: ContextEvent[] = [];
  #replayer: Replayer | undefined;
  #end: Replay["end"] = "crash";
  #lastAt: Instant | undefined;
  #calls = 0;
  #outputs = 0;

  constructor(primitives: ReplayPrimitives) {
    this.#primitives = primitives;
  }

  /** @throws TraceError for a line that is none, ReplayDifference for one that goes another way */
  take(text: string): void {
    if (this.#replayer === undefined) {
      this.header = parseHeader(text);
      this.#replayer = new Replayer(this.header, this.#primitives);
      return;
    }
    const line = parseTraceLine(text);
    if ("end" in line) this.#end = line.end;
    else this.#note(this.#replayer.run(line), this.#replayer);
  }

  #note(call: ReplayedCall, replayer: Replayer): void {
    this.#evidence.note(call);
    for (const outage of this.#finder.note(call)) this.#keep(outage, replayer);
    this.#calls += 1;
    this.#outputs += call.outputs.length;
    this.#lastAt = call.at;
    for (const output of call.outputs) if (output.type === "event") this.#events.push(output.event);
  }

  #keep(outage: Outage, replayer: Replayer): void {
    const context = replayer.context(outage.tag);
    const local = context?.localLocators.map(({ address }) => address) ?? [];
    const peer = context?.peerLocators.map(({ address }) => address) ?? [];
    const locators = { local, peer };
    this.#outages.push({
      ...{ outage, locators, evidence: this.#evidence.evidenceOf(outage, locators) },
    });
  }

  /** @throws TraceError for an empty file */
  result(): Replay {
    const { header } = this;
    if (header === undefined) throw new TraceError("there is nothing in it");
    return {
      ...{ header, end: this.#end, lastAt: this.#lastAt ?? header.at, calls: this.#calls },
      ...{ outputs: this.#outputs, events: this.#events, outages: this.#outages },
    };
  }
}
