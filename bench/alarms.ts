/** What the adaptive detector takes for a failure on a path that loses, delays and lives. */
import { parseArgs } from "node:util";
import type { ContextStatus, ContextsReply } from "../src/daemon/api.ts";
import { addFilter } from "../src/lab/filter.ts";
import { withLab } from "../src/lab/lab.ts";
import { sleep, waitFor } from "../src/lab/shell.ts";
import { ShimDaemon } from "../src/lab/shim-daemon.ts";
import type { ShimEvent } from "../src/lab/shim-event.ts";
import { literal, type Topology } from "../src/lab/topology.ts";
import { shape } from "./interruption/network.ts";
import { startTransfer } from "./interruption/transfer.ts";
import { describeMachine, REPORT_FILE, type Section, writeSection } from "./section.ts";

const SECTION: Section = {
  name: "alarms",
  heading: "False alarms on a path that loses and delays",
  command: "npm run bench:alarms -- --write",
};

const A1 = literal("2001:db8:1:a::1");
const B3 = literal("2001:db8:3:b::1");
/** All of a's paths to b go over the core, and by a link with a delay. */
const TOPOLOGY: Topology = {
  isps: ["isp1", "isp2", "isp3", "isp4"],
  hosts: [
    {
      name: "a",
      uplinks: [
        { isp: "isp1", address: A1 },
        { isp: "isp2", address: literal("2001:db8:2:a::1") },
      ],
    },
    {
      name: "b",
      uplinks: [
        { isp: "isp3", address: B3 },
        { isp: "isp4", address: literal("2001:db8:4:b::1") },
      ],
    },
  ],
};
const HOSTS = ["a", "b"];
const LOSSY_ISPS = ["isp1", "isp2"];
/** Mbit/s of the uplinks. */
const RATE = 10;
/** Percent of the packets of either direction. */
const LOSS = 2;
const PORT = 5001;
/** ms */
const PATIENCE = 60_000;

/** What both hosts did. */
interface Alarms {
  readonly delay: number;
  readonly seconds: number;
  readonly explorations: number;
  /** Of payload, to another pair. */
  readonly moves: number;
  readonly probes: number;
  readonly packets: number;
  readonly megabytes: number;
}

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "600" },
    /** ms in each direction; a lab for each. */
    delays: { type: "string", default: "50,150,250" },
    write: { type: "boolean", default: false },
  },
});

// They mostly wait. All are cleaned up before a failure of one ends this.
const delays = values.delays.split(",").map(Number);
const labs = delays.map((delay) => watch(delay, Number(values.seconds)));
await Promise.allSettled(labs);
const outcomes = await Promise.all(labs);
const report = render(outcomes);
process.stdout.write(`${report}\n`);
if (values.write) await writeSection(REPORT_FILE, SECTION, report);

/** A transfer from a to b, as fast as it goes, in a network of its own. */
function watch(delay: number, seconds: number): Promise<Alarms> {
  return withLab(TOPOLOGY, async (lab) => {
    const { network, directory } = lab;
    await shape(network, RATE);
    for (const isp of LOSSY_ISPS) {
      await network.delayCoreLink(isp, delay);
      const rules = [`numgen random mod 100 < ${LOSS} drop`];
      await addFilter(network.namespace(isp), { table: "random_loss", hook: "forward", rules });
    }
    const options = { sendTimeout: 15, detect: "adaptive", directory } as const;
    const daemons = await Promise.all(
      HOSTS.map((host) => ShimDaemon.start(network, host, options)),
    );
    for (const daemon of daemons) lab.defer(() => daemon.stop());
    const transfer = await startTransfer(network, {
      ...{ protocol: "tcp", port: PORT, sender: "client" },
      ...{ client: { host: "a", address: A1 }, server: { host: "b", address: B3 } },
    });
    const established = () =>
      daemons.every(({ events }) => count(events, "established") > 0) || undefined;
    await waitFor(established, {
      timeout: PATIENCE,
      timeoutError: () => new Error("no context was established"),
    });
    await sleep(seconds * 1_000);

    for (const daemon of daemons) daemon.checkAlive();
    const contexts = (await Promise.all(daemons.map(contextsOf))).flat();
    const events = daemons.flatMap((daemon) => daemon.events);
    const arrivals = await transfer.stop();
    return {
      ...{ delay, seconds, moves: count(events, "switched") },
      explorations: count(events, "exploring"),
      probes: sum(contexts.map(({ probesSent }) => probesSent)),
      packets: sum(contexts.map(({ packetsOut }) => packetsOut)),
      megabytes: sum(arrivals.map(([, octets]) => octets)) / 1e6,
    };
  });
}

async function contextsOf(daemon: ShimDaemon): Promise<readonly ContextStatus[]> {
  return ((await daemon.get("/v1/contexts")) as ContextsReply).contexts;
}

function count(events: readonly ShimEvent[], kind: ShimEvent["event"]): number {
  return events.filter(({ event }) => event === kind).length;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function render(outcomes: readonly Alarms[]): string {
  return [
    `Machine: ${describeMachine()}; the labs run at the same time.`,
    "",
    `A TCP transfer (CUBIC) as fast as it goes over links of ${RATE} Mbit/s; ${LOSS} % of the packets`,
    "of each direction are lost at random. Nothing fails, so that every exploration is a false alarm.",
    "Probes and packets are those of both hosts.",
    "",
    "| delay each way, ms | minutes | MB | packets | explorations | that moved payload | probes | of the packets |",
    "|---|---|---|---|---|---|---|---|",
    ...outcomes.map(row),
    "",
    "Bounds: none that moves payload; probes under 0.1 % of the packets.",
  ].join("\n");
}

function row({ delay, seconds, megabytes, packets, explorations, moves, probes }: Alarms): string {
  const share = `${((100 * probes) / packets).toFixed(3)} %`;
  const cells = [delay, seconds / 60, megabytes.toFixed(0), packets, explorations, moves, probes];
  return `| ${[...cells, share].join(" | ")} |`;
}
