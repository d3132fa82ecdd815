import type { Results } from "../results.ts";
import { describeMachine, type Section } from "../section.ts";
import { median } from "../statistics.ts";
import type { Interruption } from "./run.ts";
import { describeVariant, VARIANTS, type Variant } from "./variants.ts";

export const INTERRUPTION_SECTION: Section = {
  name: "interruption",
  heading: "Interruption of a TCP transfer, beside Multipath TCP",
  command: "npm run bench:interruption -- --write",
};

/** @param results of the runs of each variant, by its description */
export function renderInterruptions(results: Results<Interruption>): string {
  return [
    `Machine: ${describeMachine()}; hosts, routers, daemons and applications share it.`,
    "",
    "A transfer as fast as it goes over links of 100 Mbit/s, sampled at the receiver in steps of 1 ms;",
    "ms, least / median / greatest. Sustained: from the event, or the command to switch, until every",
    "100 ms carry half of what a link does, or more (0: all did).",
    "",
    "| System | event | runs | longest silence | sustained again after | command to data | switch to data | bound |",
    "|---|---|---|---|---|---|---|---|",
    ...VARIANTS.flatMap((variant) => row(variant, results.of(describeVariant(variant)))),
  ].join("\n");
}

function row(variant: Variant, runs: readonly Interruption[]): string[] {
  if (runs.length === 0) return [];
  const of = (figure: keyof Interruption): string => spread(runs.map((each) => each[figure]));
  const figures = [of("silence"), of("sustained"), of("afterCommand"), of("afterSwitch")];
  const cells = [describeVariant(variant), runs.length, ...figures, boundOf(variant)];
  return [`| ${cells.join(" | ")} |`];
}

function boundOf({ bound, event }: Variant): string {
  if (bound === undefined) return "";
  const figure = event.kind === "switch" ? "switch to data" : "silence";
  return `${figure}, median: at most ${bound}`;
}

function spread(values: readonly (number | undefined)[]): string {
  const numbers = values.filter((value) => value !== undefined);
  if (numbers.length === 0) return "";
  const text = (value: number): string => (Number.isFinite(value) ? value.toFixed(0) : "never");
  return [Math.min(...numbers), median(numbers), Math.max(...numbers)].map(text).join(" / ");
}
