import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { withLab } from "./lab.ts";
import { ShimDaemon } from "./shim-daemon.ts";
import { CORE, PAPER_TOPOLOGY } from "./topology.ts";

const L3SHIM = fileURLToPath(new URL("../../bin/l3shim", import.meta.url));

interface ShellOptions {
  readonly sendTimeout: number;
  readonly shim: boolean;
  /** @param sockets the daemons' control sockets by their hosts */
  readonly onStarted?: ((sockets: ReadonlyMap<string, string>) => void) | undefined;
}

/**
 * Builds the paper's network with a daemon on each host and runs the user's shell, in which each
 * host and router is a command; everything is removed when the shell ends.
 * @returns the shell's exit code.
 */
export function runShell(options: ShellOptions): Promise<number> {
  return withLab(PAPER_TOPOLOGY, async (lab) => {
    const { network, directory } = lab;
    const hosts = PAPER_TOPOLOGY.hosts.map(({ name }) => name);
    const sockets = new Map<string, string>();
    if (options.shim) {
      for (const host of hosts) {
        const { sendTimeout } = options;
        const daemon = await ShimDaemon.start(network, host, { sendTimeout, directory });
        lab.defer(() => daemon.stop());
        sockets.set(host, daemon.socket);
      }
    }
    options.onStarted?.(sockets);
    const commands = join(directory, "bin");
    await mkdir(commands);
    for (const node of [...hosts, ...PAPER_TOPOLOGY.isps, CORE]) {
      await writeCommand(commands, directory, node, network.namespace(node));
    }
    const env = { ...process.env, PATH: `${commands}:${process.env.PATH ?? ""}` };
    const shell = spawn(process.env.SHELL ?? "/bin/sh", { stdio: "inherit", env });
    const [code] = (await once(shell, "close")) as [number | null];
    return code ?? 1;
  });
}

/** `a ping …` runs ping on host a; `a l3shim contexts` asks the daemon there; `a` is a shell. */
async function writeCommand(
  commands: string,
  directory: string,
  node: string,
  namespace: string,
): Promise<void> {
  const socket = join(directory, node, "control.sock");
  const script = `#!/bin/sh
# Runs a command on ${node} of the lab; without one, a shell.
[ $# -gt 0 ] || set -- "\${SHELL:-/bin/sh}"
if [ "$1" = l3shim ]; then
  shift
  set -- "${L3SHIM}" "$@" --socket "${socket}"
fi
exec ip netns exec ${namespace} "$@"
`;
  const file = join(commands, node);
  await writeFile(file, script);
  await chmod(file, 0o755);
}
