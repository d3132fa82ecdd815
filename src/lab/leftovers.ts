import { readdir } from "node:fs/promises";
import { removePins } from "./pins.ts";
import { poll, run, tryRun } from "./shell.ts";

const NAMESPACE_NAME = /^l3lab-(\d+)-\d+-\w+$/;

/** Ends what still runs in the namespace, then removes it; a missing one is no error. */
export async function removeNamespace(namespace: string): Promise<void> {
  if (!(await namespaces()).includes(namespace)) return;
  await endProcesses(namespace, "SIGTERM");
  await run(["ip", "netns", "del", namespace]);
  removePins(namespace);
}

/**
 * Removes the namespaces of labs whose process has gone, all of them when `force` is set.
 * Returns their names.
 */
export async function removeLeftovers(force: boolean): Promise<string[]> {
  const removed: string[] = [];
  for (const namespace of await namespaces()) {
    const owner = NAMESPACE_NAME.exec(namespace)?.[1];
    if (owner === undefined || (!force && isAlive(Number(owner)))) continue;
    await removeNamespace(namespace);
    removed.push(namespace);
  }
  return removed;
}

async function namespaces(): Promise<string[]> {
  try {
    return await readdir("/run/netns");
  } catch (error) {
    // The directory comes with the first namespace.
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

/**
 * Ends all processes of the namespace.
 * @param signal SIGTERM lets a daemon clean up; what is still there after two seconds is killed
 */
export async function endProcesses(
  namespace: string,
  signal: "SIGTERM" | "SIGKILL",
): Promise<void> {
  const running = await processes(namespace);
  if (running.length === 0) return;
  signalAll(running, signal);
  const empty = async () => ((await processes(namespace)).length === 0 ? true : undefined);
  if (await poll(empty, { timeout: 2_000, interval: 50 })) return;
  signalAll(await processes(namespace), "SIGKILL");
}

async function processes(namespace: string): Promise<number[]> {
  const { stdout } = await tryRun(["ip", "netns", "pids", namespace]);
  return stdout.split("\n").filter(Boolean).map(Number);
}

function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      // It ended on its own meanwhile.
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
