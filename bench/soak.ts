import { spawnSync } from "node:child_process";
import { parseArgs } from "node:util";
import type { SoakResult } from "../src/sim/soak-run.ts";
import { describeMachine, REPORT_FILE, type Section, writeSection } from "./section.ts";

const SECTION: Section = {
  name: "soak",
  heading: "The soak: a simulated day of a thousand hosts",
  command: "npm run bench:soak -- --write",
};

/** What `l3shim sim soak --json` prints. */
interface SoakReport extends SoakResult {
  readonly hosts: number;
  readonly hours: number;
  readonly seed: number;
  readonly realSeconds: number;
  readonly cpuSeconds: number;
  readonly peakMebibytes: number;
}

const { values } = parseArgs({ options: { write: { type: "boolean", default: false } } });
const section = render(runSoak());
process.stdout.write(`${section}\n`);
if (values.write) await writeSection(REPORT_FILE, SECTION, section);

function runSoak(): SoakReport {
  const args = ["bin/l3shim", "sim", "soak", "--json"];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`l3shim sim soak ended with ${status}:\n${stderr}`);
  return JSON.parse(stdout) as SoakReport;
}

function render(report: SoakReport): string {
  const { hosts, hours, seed, figures, groups, threads } = report;
  const { realSeconds, cpuSeconds, peakMebibytes } = report;
  const kinds = Object.entries(report.failures)
    .sort(([, a], [, b]) => b - a)
    .map(([kind, count]): [string, number] => [`failures: ${kind}`, count]);
  const rows: [string, number][] = [
    ["contexts established", figures.established],
    ["contexts collected when idle", figures.collected],
    ["failures injected", figures.failures],
    ...kinds,
    ["explorations that ended Operational", figures.recoveries],
    ["switches to another pair", figures.switches],
    ["sessions recovered after an end had lost its context", figures.renewals],
    ["payload packets", figures.payloadPackets],
    ["control packets", figures.controlPackets],
    ["packets lost", figures.lostPackets],
    ["events", figures.events],
  ];
  return [
    `Machine: ${describeMachine()}.`,
    "",
    `${hosts} hosts for ${hours} simulated hours, seed ${seed}, in ${groups} groups and ${threads} threads.`,
    "All invariants held, and no context was left over ([simulator.md](simulator.md)).",
    "",
    `**${Math.round(realSeconds)} s of real time** (bound: 600 s), ${cpuSeconds} s of processor time (what other`,
    `work on the machine leaves of it makes the difference), ${peakMebibytes} MiB of memory at most.`,
    "",
    "| | |",
    "|---|---|",
    ...rows.map(([name, count]) => `| ${name} | ${count.toLocaleString("en")} |`),
  ].join("\n");
}
