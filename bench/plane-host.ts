import { createInterface } from "node:readline";
import type { Mapping } from "../src/core/output.ts";
import type { DataPlaneEvents } from "../src/dataplane/dataplane.ts";
import { NfqueueDataPlane } from "../src/dataplane/nfqueue/plane.ts";
import type { ContextTag } from "../src/wire/tag.ts";

/** What a host's plane is to do; `mapping` is undefined for the null mapping. */
export interface PlaneTask {
  readonly tag: ContextTag;
  readonly mapping: Mapping;
  readonly rewrite: boolean;
}

/**
 * Runs a data plane in this process until standard input ends: the process that a host's daemon
 * would be.
 */
export async function runPlaneHost(task: PlaneTask): Promise<void> {
  const warn = (message: string): void => {
    process.stderr.write(`${message}\n`);
  };
  const fail = (error: Error): void => {
    warn(error.message);
    process.exit(1);
  };
  const plane = new NfqueueDataPlane({
    trigger: { packets: 50, age: undefined },
    inboundHook: "prerouting",
    withholdErrors: true,
    backend: "auto",
    queue: 14_000,
    warn,
  });
  const ignore = (): void => undefined;
  const events: DataPlaneEvents = {
    trigger: ignore,
    control: ignore,
    unknownTag: ignore,
    inboundPayload: ignore,
    mappingInForce: ignore,
    icmpError: ignore,
    failed: fail,
  };
  await plane.open(events);
  plane.setContext(task.tag, task.mapping.ulids);
  if (task.rewrite) plane.setMapping(task.tag, task.mapping);
  process.stdout.write("ready\n");
  const input = createInterface({ input: process.stdin });
  await new Promise((resolve) => input.on("close", resolve));
  await plane.close();
}
