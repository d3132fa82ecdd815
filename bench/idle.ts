/** What a daemon takes of a processor while nothing happens, with no context and with many. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type Lab, withLab } from "../src/lab/lab.ts";
import { LabProcess } from "../src/lab/lab-process.ts";
import { inNamespace, run, sleep, waitFor } from "../src/lab/shell.ts";
import { ShimDaemon } from "../src/lab/shim-daemon.ts";
import { describeMachine, REPORT_FILE, type Section, writeSection } from "./section.ts";
import { TWO_HOSTS } from "./two-hosts.ts";

const SECTION: Section = {
  name: "idle",
  heading: "An idle daemon",
  command: "npm run bench:idle -- --write",
};
const ULID = "2001:db8:1:a::1";
/** All of it host b answers for. */
const PEERS = "2001:db8:1:b:1::/80";
const PEERS_PROGRAM = fileURLToPath(new URL("idle-peers.js", import.meta.url));

/** Openings under way at a time. */
const ABREAST = 50;
const PATIENCE = 120_000;
/** ms until what the establishment leaves behind is gone: keepalives for 15 s, and garbage. */
const SETTLING_TIME = 25_000;
/** Of /proc/PID/stat. */
const TICKS_PER_SECOND = 100;
const MOST_SHARE = 0.01;

const { values } = parseArgs({
  options: {
    contexts: { type: "string", default: "10000" },
    seconds: { type: "string", default: "60" },
    write: { type: "boolean", default: false },
  },
});
const contexts = Number(values.contexts);
const seconds = Number(values.seconds);

const report = await withLab(TWO_HOSTS, async (lab) => {
  const peers = await answerForPeers(lab);
  const daemon = await startDaemon(lab);
  const empty = await shareOfProcessor(daemon);
  await openAll(daemon, peers);
  await sleep(SETTLING_TIME);
  const full = await shareOfProcessor(daemon);
  return render(empty, full);
});
process.stdout.write(`${report}\n`);
if (values.write) await writeSection(REPORT_FILE, SECTION, report);

/** Host b takes what comes for PEERS, and may answer from there. */
async function answerForPeers(lab: Lab): Promise<LabProcess> {
  const on = (node: string, ...argv: string[]) =>
    run(inNamespace(lab.network.namespace(node), argv));
  await on("b", "ip", "-6", "route", "add", "local", PEERS, "dev", "lo");
  await on("b", "sysctl", "-qw", "net.ipv6.ip_nonlocal_bind=1");
  await on("isp1", "ip", "-6", "route", "add", PEERS, "via", "2001:db8:1:b::1");
  let isReady = false;
  const peers = new LabProcess({
    namespace: lab.network.namespace("b"),
    argv: [process.execPath, PEERS_PROGRAM],
    onLine: () => {
      isReady = true;
    },
  });
  lab.defer(() => peers.stop("SIGTERM"));
  const timeoutError = () => peers.failure("the peers did not start");
  await waitFor(() => isReady || undefined, { timeout: PATIENCE, timeoutError });
  return peers;
}

async function startDaemon(lab: Lab): Promise<ShimDaemon> {
  const extraConfig = `max-contexts-per-prefix = ${contexts}`;
  const options = {
    sendTimeout: 15,
    directory: lab.directory,
    dataplane: "ebpf",
    extraConfig,
  } as const;
  const daemon = await ShimDaemon.start(lab.network, "a", options);
  lab.defer(() => daemon.stop());
  return daemon;
}

async function openAll(daemon: ShimDaemon, peers: LabProcess): Promise<void> {
  for (let first = 0; first < contexts; first += ABREAST) {
    const numbers = Array.from(
      { length: Math.min(ABREAST, contexts - first) },
      (_, i) => first + i,
    );
    await Promise.all(
      numbers.map((number) =>
        daemon.post("/v1/contexts", { localUlid: ULID, peerUlid: addressOf(number) }),
      ),
    );
  }
  await waitFor(() => establishedBy(daemon) === contexts || undefined, {
    timeout: PATIENCE,
    timeoutError: () => peers.failure(`only ${establishedBy(daemon)} contexts are established`),
  });
}

function addressOf(number: number): string {
  return `2001:db8:1:b:1::${(number + 1).toString(16)}`;
}

function establishedBy({ events }: ShimDaemon): number {
  return events.filter(({ event }) => event === "established").length;
}

/** Of one processor, over `seconds`. */
async function shareOfProcessor(daemon: ShimDaemon): Promise<number> {
  const before = processorTime(daemon);
  await sleep(1000 * seconds);
  return (processorTime(daemon) - before) / seconds;
}

/** Seconds in all threads, as the kernel counts them. */
function processorTime({ pid }: ShimDaemon): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  // What stands before is the name, which may have spaces in it.
  const [, ...fields] = stat.slice(stat.lastIndexOf(")")).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

function render(empty: number, full: number): string {
  const percent = (share: number) => `${(100 * share).toFixed(2)} %`;
  return [
    `Machine: ${describeMachine()}; eBPF data plane.`,
    "",
    `Processor time of the daemon, all its threads, over ${seconds} s without payload, as a share of one processor.`,
    "",
    "| Contexts | share | bound |",
    "|---|---|---|",
    `| 0 | ${percent(empty)} | |`,
    `| ${contexts.toLocaleString("en")} | ${percent(full)} | under ${percent(MOST_SHARE)} |`,
  ].join("\n");
}
