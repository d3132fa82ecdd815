import { writeFile } from "node:fs/promises";
import { type Command, InvalidArgumentError } from "commander";
import { type Reply, SCHEMA_VERSION } from "../daemon/api.ts";
import { type FalseAlarms, measureFalseAlarms } from "../sim/false-alarms.ts";
import type { Scenario } from "../sim/scenario.ts";
import { findScenario, SCENARIOS } from "../sim/scenarios.ts";
import { shrink } from "../sim/shrink.ts";
import { type SimResult, simulate } from "../sim/simulation.ts";
import { type SoakSize, soakScenario } from "../sim/soak.ts";
import { runSoak, type SoakResult } from "../sim/soak-run.ts";
import { FULL_SWEEP, type SweepCell, sweep } from "../sim/sweep.ts";
import { chartSweep } from "../sim/sweep-chart.ts";
import { formatSweep } from "../sim/sweep-text.ts";
import { CommandError, EXIT, print, printJson } from "./command.ts";
import { formatFields, formatTable } from "./format.ts";

interface RunOptions {
  readonly seed: number;
  readonly duration?: number;
  readonly json: boolean;
}

interface SweepOptions {
  readonly seeds: number;
  readonly text?: string;
  readonly svg?: string;
  readonly json: boolean;
}

interface SoakOptions {
  readonly hosts: number;
  readonly hours: number;
  readonly seed: number;
  readonly threads?: number;
  readonly json: boolean;
}

/** `sim`: the protocol in virtual time, without privilege or packets. */
export function registerSim(program: Command): void {
  const sim = program
    .command("sim")
    .summary("simulate hosts, links and failures in virtual time")
    .description(
      "Runs the daemon's protocol engine over simulated links. The same seed gives the same run. " +
        "Exit status 1 when an invariant does not hold (docs/simulator.md).",
    );
  sim
    .command("list")
    .summary("the scenarios that can be run")
    .option("--json", "print JSON for programs", false)
    .action(({ json }: { json: boolean }) => list(json));
  withSeed(sim.command("run"))
    .summary("run a scenario and print its trace")
    .argument("[scenario]", "its name in the list", "paper")
    .option("--duration <seconds>", "stop flows and failures then", parseCount)
    .action(runScenario);
  sim
    .command("sweep")
    .summary("recovery time over Send Timeout, loss and locator pairs")
    .option("--seeds <count>", "runs for each cell", parseCount, FULL_SWEEP.seeds)
    .option("--text <file>", "write the table to a file too")
    .option("--svg <file>", "write a chart")
    .option("--json", "print JSON for programs", false)
    .action(runSweep);
  sim
    .command("alarms")
    .summary("false alarms of adaptive detection on a path that is bad and alive")
    .option("--seeds <count>", "runs of 10 minutes for each kind of flow", parseCount, 10)
    .option("--json", "print JSON for programs", false)
    .action(runAlarms);
  withSeed(sim.command("soak"))
    .summary("many hosts for many hours with random failures")
    .option("--hosts <count>", "2 or more", parseCount, 1000)
    .option("--hours <count>", "of simulated time", parseCount, 24)
    .option("--threads <count>", "one for each processor unless given", parseCount)
    .action(runSoakCommand);
}

function withSeed(command: Command): Command {
  return command
    .option("--seed <number>", "of all that is random", parseCount, 1)
    .option("--json", "print JSON for programs", false);
}

function parseCount(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new InvalidArgumentError("It must be a whole number of 1 or more.");
  }
  return value;
}

function list(json: boolean): void {
  const scenarios = SCENARIOS.map(({ name, summary, duration }) => ({ name, summary, duration }));
  if (json) return printJson<ScenariosReply>({ schemaVersion: SCHEMA_VERSION, scenarios });
  const rows = scenarios.map(({ name, duration, summary }) => [name, `${duration} s`, summary]);
  print(formatTable(["SCENARIO", "LASTS", "WHAT HAPPENS"], rows));
}

/** What is printed as JSON, command by command. Times and spans are in seconds. */

export interface ScenariosReply extends Reply {
  readonly scenarios: readonly Pick<Scenario, "name" | "summary" | "duration">[];
}

export interface SimReply extends Reply, SimResult {}

export interface SweepReply extends Reply {
  readonly cells: readonly SweepCell[];
  /** Runs that broke an invariant or did not recover. */
  readonly failed: readonly { readonly scenario: string; readonly seed: number }[];
}

export interface AlarmsReply extends Reply {
  readonly alarms: readonly FalseAlarms[];
}

export interface SoakReply extends Reply, SoakSize, SoakResult {
  readonly seed: number;
  readonly realSeconds: number;
  readonly cpuSeconds: number;
  readonly peakMebibytes: number;
}

function runScenario(name: string, { seed, duration, json }: RunOptions): void {
  const known = findScenario(name);
  if (known === undefined) {
    const message = `no scenario is called "${name}"; "l3shim sim list" names them`;
    throw new CommandError(message, EXIT.usage);
  }
  const scenario = duration === undefined ? known : { ...known, duration };
  const result = simulate(scenario, { seed, trace: true });
  if (json) printJson<SimReply>({ schemaVersion: SCHEMA_VERSION, ...result });
  else print([...result.trace, "", describeResult(result)].join("\n"));
  judge(scenario, result);
}

function describeResult({ seed, figures, flows }: SimResult): string {
  const rows = flows.map(({ kind, from, to, sent, answered, longestInterruption }) => [
    ...[kind, `${from} > ${to}`, sent, answered, `${longestInterruption.toFixed(1)} s`],
  ]);
  return [
    formatTable(["FLOW", "HOSTS", "SENT", "ANSWERED", "LONGEST INTERRUPTION"], rows),
    "",
    formatFields([["seed", seed], ...Object.entries(figures).map(nameFigure)]),
  ].join("\n");
}

/** "payloadPackets" as "payload packets". */
function nameFigure([name, value]: [string, number]): [string, number] {
  return [name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`), value];
}

/** Shows a broken invariant by the smallest run that breaks it. */
function judge(scenario: Scenario, { seed, violation }: SimResult): void {
  if (violation === undefined) return;
  const tell = (text: string): void => void process.stderr.write(`${text}\n`);
  tell(`${violation.invariant} broken at ${violation.at} s with seed ${seed}; shrinking ...`);
  const small = shrink(scenario, { seed });
  tell(JSON.stringify(small.scenario, undefined, 2));
  tell(small.result.trace.join("\n"));
  const message = `${violation.message}\nseed ${seed}; smallest scenario and its trace above`;
  throw new CommandError(message, EXIT.failed);
}

async function runSweep({ seeds, text, svg, json }: SweepOptions): Promise<void> {
  const { cells, failed } = sweep({ ...FULL_SWEEP, seeds });
  const table = formatSweep(cells);
  if (text !== undefined) await writeFile(text, table);
  if (svg !== undefined) await writeFile(svg, chartSweep(cells));
  if (json) {
    const names = failed.map(({ scenario, seed }) => ({ scenario: scenario.name, seed }));
    printJson<SweepReply>({ schemaVersion: SCHEMA_VERSION, cells, failed: names });
  } else {
    print(table.trimEnd());
  }
  const [first] = failed;
  if (first === undefined) return;
  const message = `${failed.length} runs did not recover, the first in "${first.scenario.name}", seed ${first.seed}`;
  throw new CommandError(message, EXIT.failed);
}

function runAlarms({ seeds, json }: Pick<SweepOptions, "seeds" | "json">): void {
  const alarms = measureFalseAlarms(seeds);
  if (json) printJson<AlarmsReply>({ schemaVersion: SCHEMA_VERSION, alarms });
  else print(formatAlarms(alarms));
  if (alarms.every(({ switches, violations }) => switches === 0 && violations === 0)) return;
  throw new CommandError("payload left a path that works", EXIT.failed);
}

function formatAlarms(alarms: readonly FalseAlarms[]): string {
  const rows = alarms.map(({ flow, minutes, packets, probes, switches }) => [
    ...[flow, minutes, packets, probes, `${((100 * probes) / packets).toFixed(3)} %`, switches],
  ]);
  return formatTable(["FLOW", "MINUTES", "PACKETS", "PROBES", "SHARE", "SWITCHES"], rows);
}

async function runSoakCommand({ hosts, hours, seed, threads, json }: SoakOptions): Promise<void> {
  if (hosts < 2) throw new CommandError("a soak needs 2 hosts or more", EXIT.usage);
  const start = performance.now();
  const result = await runSoak(seed, { hosts, hours }, threads);
  const realSeconds = Number(((performance.now() - start) / 1000).toFixed(1));
  // Of the whole process with its threads; the system counts in microseconds and kibibytes.
  const { maxRSS, userCPUTime, systemCPUTime } = process.resourceUsage();
  const cpuSeconds = Math.round((userCPUTime + systemCPUTime) / 1e6);
  const peakMebibytes = Math.round(maxRSS / 1024);
  const { figures, failures, failed } = result;
  if (json) {
    const size = { hosts, hours, seed, realSeconds, cpuSeconds, peakMebibytes };
    const reply: SoakReply = { schemaVersion: SCHEMA_VERSION, ...size, ...result };
    printJson(reply);
  } else {
    const rows = Object.entries(figures).map(nameFigure);
    print(formatFields([["hosts", hosts], ["hours", hours], ["seed", seed], ...rows]));
    print(`\n${formatTable(["FAILURES", "OF THE KIND"], kindsOf(failures))}\n`);
    const spent = `${realSeconds} s of real time, ${cpuSeconds} s of processor time`;
    const workers = result.threads === 1 ? "1 thread" : `${result.threads} threads`;
    print(`${spent}, ${workers}, at most ${peakMebibytes} MiB`);
  }
  if (failed === undefined) return;
  const { seed: failedSeed, hosts: failedHosts } = failed;
  process.stderr.write(
    `the same alone: l3shim sim soak --seed ${failedSeed} --hosts ${failedHosts} --hours ${hours}\n`,
  );
  const scenario = soakScenario(failed);
  judge(scenario, simulate(scenario, { seed: failedSeed }));
}

function kindsOf(failures: Readonly<Record<string, number>>): [number, string][] {
  return Object.entries(failures)
    .sort(([, a], [, b]) => b - a)
    .map(([kind, count]) => [count, kind]);
}
