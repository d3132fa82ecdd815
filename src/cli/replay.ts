import type { Command } from "commander";
import type { ContextEvent } from "../core/output.ts";
import type { Instant } from "../core/time.ts";
import { type Reply, SCHEMA_VERSION } from "../daemon/api.ts";
import type { Outage } from "../sim/replay/outages.ts";
import type { TraceHeader } from "../sim/replay/trace-format.ts";
import type { Replay } from "../sim/replay/trace-replay.ts";
import type { ModelledOutage, WhatIfSettings } from "../sim/replay/what-if.ts";
import { describeEvent } from "../sim/trace.ts";
import { formatTag } from "../wire/tag.ts";
import { print, printJson } from "./command.ts";
import { formatClock, formatSpan, formatTable } from "./format.ts";
import { replayFile } from "./trace-reading.ts";
import { parseSetting, type WhatIf, whatIf } from "./what-if.ts";

/** `replay`: a trace of the daemon, run again. */
export function registerReplay(program: Command): void {
  program
    .command("replay")
    .summary("run a trace of the daemon again")
    .description(
      "Gives the protocol engine all that the daemon's was given (l3shim daemon --record), and " +
        "shows what happened. What it puts out must be the same as in the trace, byte for byte.",
    )
    .argument("<trace>", "the file that the daemon has written")
    .option("--set <setting>", "what if: send-timeout=SECONDS or detect=rfc|adaptive", parseSetting)
    .option("--json", "print JSON for programs", false)
    .addHelpText("after", STATUS_HELP)
    .action(async (file: string, { set, json }: ReplayOptions) => {
      const replay = await replayFile(file);
      const others = set && whatIf(replay.header, replay.outages, set);
      if (json) return printJson(replayReply(replay, others));
      print(formatReplay(replay));
      if (set !== undefined && others !== undefined)
        print(formatWhatIf(replay.header, set, others));
    });
}

interface ReplayOptions {
  readonly set?: Partial<WhatIfSettings>;
  readonly json: boolean;
}

const STATUS_HELP = `
Exit status: 0 the same as recorded, 1 otherwise, or the file is no trace.`;

const ENDS: Readonly<Record<Replay["end"], string>> = {
  stopped: "the daemon stopped then",
  full: "the trace had its full size then",
  slow: "the disk was too slow then",
  crash: "it ends without a word: the daemon was killed then, or is running",
};

function formatReplay(replay: Replay): string {
  const { header, end, lastAt, calls, outputs, events, outages } = replay;
  const span = formatSpan((lastAt - header.at) / 1000);
  const began = new Date(header.wall).toISOString();
  return [
    `trace of l3shim ${header.l3shim} from ${began}, ${span}; ${ENDS[end]}`,
    ...events.map((event) => `${clockOf(header, event.at)}  ${describeEvent(event)}`),
    ...(outages.length === 0
      ? []
      : [
          "",
          formatOutages(
            header,
            outages.map(({ outage }) => outage),
          ),
          "",
        ]),
    `${calls} calls gave the same ${outputs} outputs again`,
  ].join("\n");
}

const MODEL_HELP = `
OUTAGE is recorded; the other two are inferred: median (and range) of 15 simulated runs each. In
them a path fails and works as the probes of the trace show; one that nobody tried counts as dead,
the peer is set as this host is, and packets are as frequent as before the outage. The nearer the
model comes to the record with the settings of then, the more it is worth.`;

function formatWhatIf(
  header: TraceHeader,
  set: Partial<WhatIfSettings>,
  outages: readonly WhatIf[],
): string {
  const settings = [
    ...(set.sendTimeout === undefined ? [] : [`send-timeout=${set.sendTimeout}s`]),
    ...(set.detect === undefined ? [] : [`detect=${set.detect}`]),
  ].join(" ");
  if (outages.length === 0) return `\nno outage of this trace depends on ${settings}`;
  const rows = outages.map(({ recorded: { outage }, asRecorded, changed }) => [
    ...[clockOf(header, outage.recoveredAt), formatTag(outage.tag)],
    inSeconds(outage.detection + outage.exploration),
    ...[formatModelled(asRecorded), formatModelled(changed)],
  ]);
  const columns = ["RECOVERED", "CONTEXT", "OUTAGE", "MODEL AS SET THEN"];
  return `\n${formatTable([...columns, `MODEL WITH ${settings}`], rows)}\n${MODEL_HELP}`;
}

function formatModelled({ median, shortest, longest, lasting }: ModelledOutage): string {
  if (median === Number.POSITIVE_INFINITY) return "does not recover";
  const some = lasting === 0 ? "" : `, ${lasting} runs do not recover`;
  const end = lasting === 0 ? `${longest.toFixed(1)} s` : "...";
  return `${median.toFixed(1)} s (${shortest.toFixed(1)} to ${end}${some})`;
}

function formatOutages(header: TraceHeader, outages: readonly Outage[]): string {
  const rows = outages.map(({ tag, cause, recoveredAt, detection, exploration, from, to }) => [
    ...[clockOf(header, recoveredAt), formatTag(tag), cause],
    ...[inSeconds(detection), inSeconds(exploration), inSeconds(detection + exploration)],
    `${from.local} > ${from.peer} to ${to.local} > ${to.peer}`,
  ]);
  const columns = ["RECOVERED", "CONTEXT", "BEGUN BY", "DETECTION", "EXPLORATION", "OUTAGE"];
  return formatTable([...columns, "LOCATORS"], rows);
}

function clockOf(header: TraceHeader, at: Instant): string {
  return formatClock(wallOf(header, at));
}

function wallOf(header: TraceHeader, at: Instant): Date {
  return new Date(header.wall + (at - header.at));
}

function inSeconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(3)} s`;
}

function replayReply(
  { header, end, lastAt, calls, outputs, events, outages }: Replay,
  others: readonly WhatIf[] | undefined,
): ReplayReply {
  const time = (at: Instant) => wallOf(header, at).toISOString();
  return {
    ...{ schemaVersion: SCHEMA_VERSION, release: header.l3shim, same: true, end, calls, outputs },
    ...{ from: time(header.at), to: time(lastAt) },
    events: events.map((event) => ({ time: time(event.at), ...plainEvent(event) })),
    outages: outages.map((recorded) => {
      const { tag, recoveredAt, detection, exploration, ...outage } = recorded.outage;
      const model = others?.find((other) => other.recorded === recorded);
      return {
        ...{ context: formatTag(tag), recovered: time(recoveredAt), ...outage },
        ...{ detection: detection / 1000, exploration: exploration / 1000 },
        ...(model && { asRecorded: finite(model.asRecorded), changed: finite(model.changed) }),
      };
    }),
  };
}

/** What is printed as JSON. Spans are in seconds. */
export interface ReplayReply extends Reply {
  /** That wrote the trace. */
  readonly release: string;
  /** Another way ends in an error. */
  readonly same: true;
  readonly end: Replay["end"];
  readonly calls: number;
  readonly outputs: number;
  readonly from: string;
  readonly to: string;
  readonly events: readonly ReplayedEvent[];
  readonly outages: readonly ReplayedOutage[];
}

interface ReplayedEvent {
  readonly time: string;
  readonly context: string;
  /** As in the event stream. */
  readonly event: string;
  /** What the event has besides. */
  readonly [field: string]: unknown;
}

interface ReplayedOutage extends Pick<Outage, "ulids" | "cause" | "from" | "to"> {
  readonly context: string;
  /** When it was over. */
  readonly recovered: string;
  readonly detection: number;
  readonly exploration: number;
  /** With --set: by the model, with the settings of the trace and with the changed ones. */
  readonly asRecorded?: FiniteOutage;
  readonly changed?: FiniteOutage;
}

/** `null` where runs do not recover: JSON has no infinity. */
interface FiniteOutage {
  readonly median: number | null;
  readonly shortest: number | null;
  readonly longest: number | null;
  /** Runs that did not recover. */
  readonly lasting: number;
}

function finite({ median, shortest, longest, lasting }: ModelledOutage): FiniteOutage {
  const orNull = (value: number) => (Number.isFinite(value) ? value : null);
  return {
    ...{ median: orNull(median), shortest: orNull(shortest), longest: orNull(longest) },
    lasting,
  };
}

function plainEvent({ at: _at, tag, event, ...details }: ContextEvent) {
  const peerTag = "peerTag" in details ? { peerTag: formatTag(details.peerTag) } : {};
  return { event, context: formatTag(tag), ...details, ...peerTag };
}
