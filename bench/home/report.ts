import type { Results } from "../results.ts";
import { describeMachine, type Section } from "../section.ts";
import { median } from "../statistics.ts";
import { EVENTS, type HomeEvent, SYSTEM_NAMES, SYSTEMS, type System } from "./events.ts";
import type { HomeRun } from "./run.ts";
import { TYPING_INTERVAL } from "./ssh.ts";

export const HOME_SECTION: Section = {
  name: "home",
  heading: "A home with two ISPs, beside Multipath TCP",
  command: "npm run bench:home -- --write",
};

/** Tells apart what is tried. */
export function nameOf(system: System, { title }: HomeEvent): string {
  return `${SYSTEM_NAMES[system]} | ${title}`;
}

export function renderHome(results: Results<HomeRun>): string {
  const rows = EVENTS.flatMap((event) =>
    SYSTEMS.flatMap((system) => rowsOf(system, event, results.of(nameOf(system, event)))),
  );
  return [
    `Machine: ${describeMachine()}; hosts, routers, daemons and applications share it.`,
    "",
    "Longest silence at the home in ms, median / greatest, of a download as fast as it goes over links",
    `of 100 Mbit/s, and of an ssh session in which a line is typed every ${TYPING_INTERVAL} ms and comes back. Both run`,
    "at the same time, each run in a new network; the systems take turns.",
    "",
    "| event | system | runs | download | ssh | back on ISP 1 after |",
    "|---|---|---|---|---|---|",
    ...rows,
    "",
    "L3SHIM's settings are the defaults. It probes better pairs every 18 to 22 s (1.2 Send Timeouts and up to a",
    "fifth more), and returns when one has answered for 30 s.",
  ].join("\n");
}

function rowsOf(system: System, { title }: HomeEvent, runs: readonly HomeRun[]): string[] {
  const failBacks = runs.flatMap(({ failBack }) => failBack ?? []);
  return [...row(title, system, runs), ...row(`${title}: and back`, system, failBacks)];
}

interface Figures {
  readonly download: number;
  readonly ssh: number;
  readonly after?: number;
}

function row(title: string, system: System, runs: readonly Figures[]): string[] {
  if (runs.length === 0) return [];
  const of = (figure: keyof Figures): string => spread(runs.map((each) => each[figure]));
  const cells = [title, SYSTEM_NAMES[system], runs.length, of("download"), of("ssh"), of("after")];
  return [`| ${cells.join(" | ")} |`];
}

function spread(values: readonly (number | undefined)[]): string {
  const numbers = values.filter((value) => value !== undefined);
  if (numbers.length === 0) return "";
  const text = (value: number): string => (Number.isFinite(value) ? value.toFixed(0) : "never");
  return [median(numbers), Math.max(...numbers)].map(text).join(" / ");
}
