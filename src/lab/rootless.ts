import { spawn } from "node:child_process";
import { once } from "node:events";
import { LabError, tryRun } from "./shell.ts";

/** Set in the process that already runs inside the user namespace. */
const INSIDE = "L3SHIM_LAB_INSIDE";

/**
 * A user namespace in which we are root, with mounts, network and processes of its own: when its
 * first process ends, all that the lab made ends with it.
 */
const UNSHARE = [
  ...["unshare", "--user", "--map-root-user", "--net", "--mount"],
  ...["--pid", "--fork", "--kill-child", "--mount-proc"],
];

/** `ip netns` and the lock of ip6tables live under /run, which is root's outside. */
const PREPARE = 'mount -t tmpfs tmpfs /run && mkdir /run/netns && exec "$@"';

/** Whether this process may make network namespaces. */
export function isPrivileged(): boolean {
  return process.geteuid?.() === 0;
}

/**
 * Runs this very command line again in a user namespace of its own.
 * @returns its exit code.
 * @throws LabError when the system doesn't let us, with the remedies.
 */
export async function rerunInUserNamespace(): Promise<number> {
  if (process.env[INSIDE] !== undefined) {
    throw new LabError("the user namespace did not make the lab root; run it as root");
  }
  await checkUserNamespaces();
  const [file = "", ...args] = UNSHARE;
  const again = ["sh", "-c", PREPARE, "sh", process.execPath, ...process.argv.slice(1)];
  const env = { ...process.env, [INSIDE]: "1" };
  const child = spawn(file, [...args, ...again], { stdio: "inherit", env });
  // Ctrl-C reaches the inner process by the terminal; it cleans up and then we end, too.
  const ignore = () => undefined;
  const end = () => child.kill("SIGKILL");
  process.on("SIGINT", ignore).on("SIGTERM", end);
  const [code] = (await once(child, "close")) as [number | null];
  process.off("SIGINT", ignore).off("SIGTERM", end);
  return code ?? 1;
}

async function checkUserNamespaces(): Promise<void> {
  const { code, stderr } = await tryRun([...UNSHARE, "sh", "-c", PREPARE, "sh", "true"]);
  if (code === 0) return;
  throw new LabError(
    `the lab needs root, or user namespaces, which this system refuses (${stderr.trim()}). ` +
      "Run it with sudo; or allow user namespaces: sysctl user.max_user_namespaces=10000 " +
      "kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0, " +
      "those of them that the system has",
  );
}
