import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { BpfObject } from "../../../src/linux/bpf-object.ts";
import { mountBpffs } from "../../../src/linux/bpffs.ts";

const BUILD = new URL("../../../scripts/build-bpf", import.meta.url).pathname;

/** Compiles an eBPF program. @returns the object's path */
export function compileBpf(source: string, directory: string): string {
  const object = join(directory, "test.bpf.o");
  execFileSync(BUILD, [source, object], { stdio: ["ignore", "ignore", "pipe"] });
  return object;
}

/** Compiles the programs of counters.bpf.c. @returns the object's path */
export function compileCounters(directory: string): string {
  return compileBpf(new URL("./counters.bpf.c", import.meta.url).pathname, directory);
}

/** Matches a SystemError with this code. */
export function code(expected: string): unknown {
  return expect.objectContaining({ name: "SystemError", code: expected });
}

/** A directory with a bpffs of its own, gone afterwards with all that is pinned there. */
export async function withBpffs(use: (directory: string) => Promise<void> | void): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "l3t-bpffs-"));
  try {
    mountBpffs(directory);
    await use(directory);
  } finally {
    execFileSync("umount", [directory]);
    rmSync(directory, { recursive: true });
  }
}

/** Loads an object, adjusted by `prepare`, for `use`, and closes it. */
export async function withObject(
  path: string,
  use: (object: BpfObject) => Promise<void> | void,
  prepare: (object: BpfObject) => void = () => undefined,
): Promise<void> {
  const object = BpfObject.open(path);
  try {
    prepare(object);
    object.load();
    await use(object);
  } finally {
    object.close();
  }
}
