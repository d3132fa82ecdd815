import { parseArgs } from "node:util";
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { handshakeModel } from "../test/model/handshake-model.ts";
import { everyPathSet, everyRouting, reapModel, reroutedModel } from "../test/model/reap-model.ts";
import { SCENARIOS } from "../test/model/scenarios.ts";
import { type Model, type SearchResult, search } from "../test/model/search.ts";
import type { TwoHosts } from "../test/model/two-hosts.ts";

/*
 * `npm run model -- --depth N --reap-depth N --workers W`: the search of test/model as deep as
 * one has time for. A worker takes one search after the other.
 */

interface Task {
  readonly name: string;
  readonly model: () => Model<TwoHosts>;
  readonly depth: number;
}

interface Report extends SearchResult {
  readonly name: string;
  readonly seconds: number;
}

const { values } = parseArgs({
  options: {
    depth: { type: "string", default: "8" },
    "reap-depth": { type: "string", default: "5" },
    workers: { type: "string", default: "2" },
  },
});

if (isMainThread) await runWorkers();
else parentPort?.on("message", (index: number) => parentPort?.postMessage(run(index)));

function tasks(): Task[] {
  const depth = Number(values.depth);
  const reapDepth = Number(values["reap-depth"]);
  return [
    ...SCENARIOS.map((scenario) => {
      return { name: scenario.name, model: () => handshakeModel(scenario), depth };
    }),
    ...everyPathSet().map((paths) => {
      return { name: paths.name, model: () => reapModel(paths), depth: reapDepth };
    }),
    ...everyRouting().map((routing) => {
      return { name: routing.name, model: () => reroutedModel(routing), depth: reapDepth };
    }),
  ];
}

function run(index: number): Report {
  const task = tasks()[index];
  if (task === undefined) throw new Error(`there is no search ${index}`);
  const started = performance.now();
  const result = search(task.model(), task.depth);
  return { name: task.name, seconds: (performance.now() - started) / 1000, ...result };
}

async function runWorkers(): Promise<void> {
  const started = performance.now();
  const waiting = [...tasks().keys()];
  const reports: Report[] = [];
  const workers = Array.from({ length: Number(values.workers) }, () => runWorker(waiting, reports));
  await Promise.all(workers);
  const states = reports.reduce((sum, report) => sum + report.states, 0);
  const transitions = reports.reduce((sum, report) => sum + report.transitions, 0);
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  process.stdout.write(
    `${reports.length} searches: ${states} states, ${transitions} transitions, ${seconds} s\n`,
  );
  if (reports.some(({ violation }) => violation !== undefined)) process.exitCode = 1;
}

/** One search after the other, as long as any wait. */
function runWorker(waiting: number[], reports: Report[]): Promise<void> {
  const worker = new Worker(new URL(import.meta.url), { argv: process.argv.slice(2) });
  return new Promise((resolve, reject) => {
    const next = (): void => {
      const index = waiting.shift();
      if (index === undefined) void worker.terminate().then(() => resolve());
      else worker.postMessage(index);
    };
    worker.on("error", reject);
    worker.on("message", (report: Report) => {
      reports.push(report);
      print(report);
      next();
    });
    next();
  });
}

function print({ name, states, transitions, depth, exhausted, seconds, violation }: Report): void {
  const end = exhausted ? "exhausted" : "bounded";
  process.stdout.write(
    `${name}: ${states} states, ${transitions} transitions, depth ${depth} (${end}), ${seconds.toFixed(1)} s\n`,
  );
  if (violation === undefined) return;
  process.stdout.write(`  ${violation.problem}\n    ${violation.trace.join("\n    ")}\n`);
}
