/**
 * Runs a data plane until standard input ends: the process that a host's daemon would be. It
 * answers each line "statistics on" and "statistics off" of standard input.
 */
import { mkdtempSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { DataPlane, DataPlaneEvents } from "../src/dataplane/dataplane.ts";
import { EbpfDataPlane } from "../src/dataplane/ebpf/plane.ts";
import { type EbpfSystem, LINUX_EBPF } from "../src/dataplane/ebpf/system.ts";
import { NfqueueDataPlane } from "../src/dataplane/nfqueue/plane.ts";
import { type BpfProgram, programInfo, setBpfStats } from "../src/linux/bpf-program.ts";
import { mountBpffs, unmountBpffs } from "../src/linux/bpffs.ts";
import { parseAddress } from "../src/wire/address.ts";
import { contextTag } from "../src/wire/tag.ts";
import type { PlaneReady, PlaneTask, ProgramRuns } from "./plane-process.ts";

const OBJECT = fileURLToPath(new URL("../../dist/bpf/shim6.bpf.o", import.meta.url));
const TRIGGER = { packets: 50, age: undefined };

/** The programs that the plane has attached. */
const programs = new Set<BpfProgram>();

const task = JSON.parse(process.argv[2] ?? "") as PlaneTask;
const bpffs = task.plane === "ebpf" ? mountOwnBpffs() : undefined;
const plane = createPlane(task, bpffs ?? "");
await plane.open(events());
say<PlaneReady>({ microsecondsPerContext: setContexts(plane, task) });
for await (const line of createInterface({ input: process.stdin })) {
  if (line === "statistics on" || line === "statistics off") say(programRuns());
  setBpfStats(line === "statistics on");
}
await plane.close();
if (bpffs !== undefined) {
  unmountBpffs(bpffs);
  rmdirSync(bpffs);
}

function say<Message>(message: Message): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

/** `ip netns exec` has given this process a mount namespace of its own. */
function mountOwnBpffs(): string {
  const directory = mkdtempSync(join(tmpdir(), "l3shim-bench-"));
  mountBpffs(directory);
  return directory;
}

function createPlane({ plane, contexts }: PlaneTask, pinDirectory: string): DataPlane {
  const common = { trigger: TRIGGER, warn };
  if (plane === "ebpf") {
    const options = { ...common, objectFile: OBJECT, pinDirectory, contexts: contexts + 1 };
    return new EbpfDataPlane(options, { ...LINUX_EBPF, attach: attachAndNote });
  }
  return new NfqueueDataPlane({
    ...common,
    inboundHook: "prerouting",
    withholdErrors: true,
    backend: "auto",
    queue: 14_000,
  });
}

function attachAndNote(...[program, ...where]: Parameters<EbpfSystem["attach"]>) {
  programs.add(program);
  return LINUX_EBPF.attach(program, ...where);
}

/**
 * Sets all contexts, the measured one in the middle.
 * @returns microseconds for each
 */
function setContexts(plane: DataPlane, { contexts, tag, mapping, rewrite }: PlaneTask): number {
  const start = performance.now();
  for (let i = 0; i < contexts; i++) {
    if (i === contexts >> 1) plane.setContext(tag, mapping.ulids);
    else plane.setContext(contextTag(i), { ...mapping.ulids, peer: otherPeer(i) });
  }
  const elapsed = performance.now() - start;
  if (rewrite) plane.setMapping(tag, mapping);
  return (1000 * elapsed) / contexts;
}

function otherPeer(i: number) {
  const address = parseAddress(
    `2001:db8:ffff::${(i >> 16).toString(16)}:${(i & 0xffff).toString(16)}`,
  );
  if (address === undefined) throw new Error("not an address");
  return address;
}

function programRuns(): ProgramRuns[] {
  return [...programs].map(({ fd, name }) => {
    const { runCount, runTimeNs } = programInfo(fd);
    return { name, runs: runCount, nanoseconds: runTimeNs };
  });
}

function events(): DataPlaneEvents {
  const ignore = (): void => undefined;
  return {
    trigger: ignore,
    control: ignore,
    unknownTag: ignore,
    trafficResumed: ignore,
    inboundPayload: ignore,
    mappingInForce: ignore,
    icmpError: ignore,
    failed: (error) => {
      warn(error.message);
      process.exit(1);
    },
  };
}

function warn(message: string): void {
  process.stderr.write(`${message}\n`);
}
