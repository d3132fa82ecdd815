import { cpus, release, totalmem } from "node:os";
import { parseArgs } from "node:util";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { ESTABLISHMENT } from "../src/core/establishment.ts";
import { REAP } from "../src/core/reap.ts";
import { Fuzzer, type FuzzReport } from "../test/fuzz/fuzzer.ts";
import { heapInUse } from "../test/fuzz/heap.ts";
import { ESTABLISHMENT_CELLS, REAP_CELLS } from "../test/fuzz/reachable-cells.ts";
import { watchTable } from "../test/fuzz/table-coverage.ts";

/**
 * `npm run fuzz -- --inputs N --seed S --workers W`: endpoint input in bulk. A failure names
 * its worker's seed; `--workers 1 --seed` with it and the same inputs for one worker replays it.
 */
interface Task {
  readonly seed: number;
  readonly inputs: number;
}

interface TaskResult {
  readonly report: FuzzReport;
  /** Octets in use after each part of the run, once what is unreachable is gone. */
  readonly heaps: readonly number[];
  /** Cells of the tables that inputs led to, of those that any input can lead to. */
  readonly cells: { readonly establishment: string; readonly reap: string };
}

/** The heap is measured this often; the first time is the one to compare with. */
const MEASUREMENTS = 10;
const MEGABYTE = 2 ** 20;
const GROWTH_MAX = 8 * MEGABYTE;

if (isMainThread) await runWorkers();
else parentPort?.postMessage(fuzz(workerData as Task));

async function runWorkers(): Promise<void> {
  const { values } = parseArgs({
    options: {
      inputs: { type: "string", default: "10000000" },
      seed: { type: "string", default: String(Date.now() % 2 ** 31) },
      workers: { type: "string", default: "2" },
    },
  });
  const workers = Number(values.workers);
  const inputs = Math.ceil(Number(values.inputs) / workers);
  const started = performance.now();
  const results = await Promise.allSettled(
    Array.from({ length: workers }, (_, i) => runWorker({ seed: Number(values.seed) + i, inputs })),
  );
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  const peak = (process.resourceUsage().maxRSS / 1024).toFixed(0);
  const machine = `${cpus().length} x ${cpus()[0]?.model}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB`;
  process.stdout.write(`${workers * inputs} inputs in ${seconds} s, peak memory ${peak} MiB\n`);
  process.stdout.write(`${machine}, Linux ${release()}, Node.js ${process.versions.node}\n`);
  if (results.some(({ status }) => status === "rejected")) process.exitCode = 1;
}

function runWorker(task: Task): Promise<void> {
  process.stdout.write(`seed ${task.seed}: ${task.inputs} inputs\n`);
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: task });
    worker.on("message", (result: TaskResult) => {
      process.stdout.write(`seed ${task.seed}: ${JSON.stringify(result, null, 2)}\n`);
      resolve();
    });
    worker.on("error", (error: Error) => {
      process.stderr.write(`seed ${task.seed} failed: ${error.stack ?? error.message}\n`);
      reject(error);
    });
  });
}

/** @throws Error whatever the endpoint threw, or that the heap has grown */
function fuzz({ seed, inputs }: Task): TaskResult {
  const establishment = watchTable(ESTABLISHMENT);
  const reap = watchTable(REAP);
  const fuzzer = new Fuzzer(seed);
  const heaps: number[] = [];
  for (let i = 0; i < MEASUREMENTS; i++) {
    fuzzer.run(Math.ceil(inputs / MEASUREMENTS));
    heaps.push(heapInUse());
  }
  const grown = Math.max(...heaps) - (heaps[0] ?? 0);
  if (grown > GROWTH_MAX) throw new Error(`the heap has grown by ${grown} octets`);
  const cells = {
    establishment: `${establishment.size} of ${ESTABLISHMENT_CELLS.length}`,
    reap: `${reap.size} of ${REAP_CELLS.length}`,
  };
  return { report: fuzzer.report, heaps, cells };
}
