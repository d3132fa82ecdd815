import type { Command } from "commander";
import { DEFAULT_SOCKET } from "../daemon/api.ts";

/** `daemon`: runs the shim in the foreground. */
export function registerDaemon(program: Command): void {
  program
    .command("daemon")
    .summary("run the shim in the foreground")
    .description(
      "Runs the shim until SIGTERM or SIGINT. Needs root, or CAP_NET_ADMIN and CAP_NET_RAW, and " +
        "gives up every other privilege.",
    )
    .option("--config <file>", "configuration file (default: /etc/l3shim/config.toml if it exists)")
    .option("--socket <path>", "control socket", DEFAULT_SOCKET)
    .option("--state-dir <dir>", "where to keep what must survive a crash", "/var/lib/l3shim")
    .option(
      "--user <name>",
      "run as this user (default: l3shim if there is one and root starts it)",
    )
    .option("--read-any-file", "keep CAP_DAC_READ_SEARCH: l3shim is in a private directory", false)
    .option("--record <file>", "write down what the protocol engine is given, for l3shim replay")
    .option("--flush", "take everything of l3shim away from this host, and end", false)
    .option("--check-config", "read the configuration, say what is wrong with it, and end", false)
    .option("--json", "log as JSON even on a terminal", false)
    .action(async (options: DaemonCommandOptions) => {
      // Loaded only here: the other commands need no FFI.
      const { checkConfig, startDaemon, startFlush } = await import("../daemon/start.ts");
      const startOrFlush = options.flush ? startFlush : startDaemon;
      process.exitCode = await (options.checkConfig ? checkConfig : startOrFlush)({
        configFile: options.config,
        socket: options.socket,
        stateDir: options.stateDir,
        user: options.user,
        readAnyFile: options.readAnyFile,
        record: options.record,
        jsonLog: options.json,
        version: program.version() ?? "",
      });
    });
}

interface DaemonCommandOptions {
  readonly config?: string;
  readonly socket: string;
  readonly stateDir: string;
  readonly user?: string;
  readonly readAnyFile: boolean;
  readonly record?: string;
  readonly flush: boolean;
  readonly checkConfig: boolean;
  readonly json: boolean;
}
