import { execFile, execFileSync } from "node:child_process";
import { closeSync, existsSync, openSync } from "node:fs";
import { promisify } from "node:util";
import { enterNetworkNamespace } from "../../../src/linux/libc.ts";

const execute = promisify(execFile);
const COMMAND_TIMEOUT_MS = 20_000;
let created = 0;

/** A network namespace of a test, with its loopback up. */
export class TestNamespace {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }

  /** Runs a command inside; its standard output. Rejects when it fails. */
  run(command: string, ...args: string[]): Promise<string> {
    return run("ip", "netns", "exec", this.name, command, ...args);
  }

  /** `ip -6 ARGS` inside; one string, split at spaces. */
  ip6(args: string): Promise<string> {
    return run("ip", "-6", "-n", this.name, ...args.split(" "));
  }

  /** Many `ip -6 ARGS` at once, while the event loop stands still. */
  ip6Batch(lines: readonly string[]): void {
    const input = `${lines.join("\n")}\n`;
    execFileSync("ip", ["-6", "-n", this.name, "-batch", "-"], { input });
  }

  /** `ip link ARGS` inside. */
  link(args: string): Promise<string> {
    return run("ip", "-n", this.name, "link", ...args.split(" "));
  }

  /**
   * Runs `action` with this thread moved into the namespace. Sockets opened by it stay there;
   * so it must be synchronous.
   */
  enter<Value>(action: () => Value): Value {
    const home = openSync("/proc/thread-self/ns/net", "r");
    const there = openSync(`/run/netns/${this.name}`, "r");
    try {
      enterNetworkNamespace(there);
      return action();
    } finally {
      enterNetworkNamespace(home);
      closeSync(home);
      closeSync(there);
    }
  }
}

/** Makes `count` namespaces for `use`, and removes them with all that is in them. */
async function withNamespaces(
  count: number,
  use: (...namespaces: TestNamespace[]) => Promise<void> | void,
): Promise<void> {
  const namespaces: TestNamespace[] = [];
  try {
    for (let i = 0; i < count; i++) namespaces.push(await createNamespace());
    await use(...namespaces);
  } finally {
    for (const { name } of namespaces) await run("ip", "netns", "delete", name);
  }
}

/**
 * Two namespaces joined by a veth pair, `eth0` in both, with 2001:db8::1/64 and 2001:db8::2/64
 * ready for use.
 */
export async function withVethPair(
  use: (left: TestNamespace, right: TestNamespace) => Promise<void> | void,
): Promise<void> {
  await withNamespaces(2, async (left, right) => {
    if (left === undefined || right === undefined) return;
    const peer = ["peer", "name", "eth0", "netns", right.name];
    await run("ip", "-n", left.name, "link", "add", "eth0", "type", "veth", ...peer);
    for (const [i, namespace] of [left, right].entries()) {
      await namespace.link("set eth0 up");
      await namespace.ip6(`address add 2001:db8::${i + 1}/64 dev eth0 nodad`);
    }
    await use(left, right);
  });
}

/** Waits until `condition` holds; rejects with what was awaited after `limitMs`. */
export async function until(
  what: string,
  condition: () => boolean,
  limitMs = 10_000,
): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`waited ${limitMs} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function createNamespace(): Promise<TestNamespace> {
  if (created === 0) await removeLeftovers();
  const name = `l3t-${process.pid}-${created++}`;
  await run("ip", "netns", "add", name);
  await run("ip", "-n", name, "link", "set", "lo", "up");
  return new TestNamespace(name);
}

/** A run that was killed could not clean up: its namespaces are named after its process. */
async function removeLeftovers(): Promise<void> {
  for (const [name, pid] of (await run("ip", "netns", "list")).matchAll(/^l3t-(\d+)-\d+/gm)) {
    if (existsSync(`/proc/${pid}`)) continue;
    await run("ip", "netns", "delete", name).catch((error: unknown) => {
      // Another file's process was quicker.
      if (existsSync(`/run/netns/${name}`)) throw error;
    });
  }
}

async function run(command: string, ...args: string[]): Promise<string> {
  const { stdout } = await execute(command, args, { timeout: COMMAND_TIMEOUT_MS });
  return stdout;
}
