import { accessSync, chownSync, constants, existsSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { type Account, findAccount, isMapped, maySetGroups } from "../linux/accounts.ts";
import {
  type CapabilityName,
  keepOnly,
  ownPrivileges,
  type Privileges,
} from "../linux/capabilities.ts";
import { replaceProcess } from "../linux/libc.ts";
import { controlGroup } from "./control/authority.ts";

/** The daemon lacks a privilege, or could not give up the others. */
export class PrivilegeError extends Error {
  override readonly name = "PrivilegeError";
}

export interface ConfinementOptions {
  /** Whom to run as; `undefined`: l3shim, if there is such a user and the system allows it. */
  readonly user: string | undefined;
  /** Keep CAP_DAC_READ_SEARCH too, for a program in a private directory of some user. */
  readonly readAnyFile: boolean;
  /** `undefined`: the default file, if there is one. */
  readonly configFile: string | undefined;
  readonly socket: string;
  readonly stateDir: string;
}

/** What the data plane wants beyond that. */
export interface PlanePrivileges {
  /** Keep CAP_BPF, where there is one to keep. */
  readonly bpf: boolean;
  /** A directory that the daemon's user is to have; `undefined` for none. */
  readonly pinDirectory: string | undefined;
}

/** Netlink, netfilter and addresses take the one, raw sockets the other. */
export const DAEMON_CAPABILITIES: ReadonlySet<CapabilityName> = new Set([
  "CAP_NET_ADMIN",
  "CAP_NET_RAW",
]);

const DEFAULT_USER = "l3shim";

/** Set in the process that the confinement has executed. */
const CONFINED = "L3SHIM_CONFINED";

/** What the options leave to a daemon that may have `permitted`. */
export function keptCapabilities(
  { readAnyFile, bpf }: Pick<ConfinementOptions, "readAnyFile"> & Pick<PlanePrivileges, "bpf">,
  permitted: ReadonlySet<CapabilityName>,
): ReadonlySet<CapabilityName> {
  const kept = new Set(DAEMON_CAPABILITIES);
  if (readAnyFile) kept.add("CAP_DAC_READ_SEARCH");
  if (bpf && permitted.has("CAP_BPF")) kept.add("CAP_BPF");
  return kept;
}

/**
 * Sees to it that every thread of this process has no more than {@link keptCapabilities}, and
 * runs as the user that it should. Capabilities belong to threads, and Node has made some before
 * our first line runs: so the main thread gives up its own and executes the same command line
 * again. It returns in a process that is confined; one that was started so returns at once.
 * @throws PrivilegeError, SystemError
 */
export function confineProcess(options: ConfinementOptions, plane: PlanePrivileges): void {
  const privileges = ownPrivileges();
  const kept = keptCapabilities({ ...options, ...plane }, privileges.permitted);
  requireCapabilities(kept, privileges);
  const account = chooseAccount(options.user, privileges);
  const again = process.env[CONFINED] !== undefined;
  delete process.env[CONFINED];
  if (
    isConfined(kept, privileges) &&
    (account === undefined || account.uid === process.getuid?.())
  ) {
    return;
  }
  if (again) {
    throw new PrivilegeError(
      "this system gives a program that is executed more privileges than the one before it had, " +
        `against capabilities(7); unset ${CONFINED} if it was set by hand`,
    );
  }
  for (const directory of [dirname(options.socket), options.stateDir]) provide(directory, account);
  if (plane.pinDirectory !== undefined) give(plane.pinDirectory, account);
  keepOnly(kept, () => become(account, privileges));
  requireAccess(options);
  process.env[CONFINED] = "1";
  executeAnew();
}

/** Executes the same command line in place of this process. @throws SystemError */
export function executeAnew(): never {
  const { argv, execArgv, execPath } = process;
  replaceProcess(execPath, [execPath, ...execArgv, ...argv.slice(1)]);
}

/** Whether these are `kept` and no others, for good, and children get them. */
export function isConfined(kept: ReadonlySet<CapabilityName>, privileges: Privileges): boolean {
  const { inheritable, permitted, effective, bounding, ambient, noNewPrivileges } = privileges;
  // Who lacks CAP_SETPCAP cannot reduce it; under no_new_privs it gives nothing to anybody.
  const held = [inheritable, permitted, effective, ambient];
  if (effective.has("CAP_SETPCAP")) held.push(bounding);
  const isKept = (set: ReadonlySet<CapabilityName>) =>
    set.size === kept.size && [...set].every((name) => kept.has(name));
  return noNewPrivileges && held.every(isKept);
}

/** @throws PrivilegeError that names what is missing */
function requireCapabilities(
  kept: ReadonlySet<CapabilityName>,
  { permitted }: Pick<Privileges, "permitted">,
): void {
  const missing = [...kept].filter((name) => !permitted.has(name));
  if (missing.length === 0) return;
  throw new PrivilegeError(
    `the daemon needs ${missing.join(" and ")}, which this process (uid ${process.getuid?.()}) ` +
      `does not have; run it as root, or give it ${[...kept].join(" and ")} ` +
      `(systemd: AmbientCapabilities=${[...kept].join(" ")})`,
  );
}

/**
 * Whom to become; `undefined` stays who this is.
 * @throws PrivilegeError when `name` is given and cannot be had
 */
export function chooseAccount(
  name: string | undefined,
  { effective }: Pick<Privileges, "effective">,
): Account | undefined {
  const account = findAccount(name ?? DEFAULT_USER);
  if (account !== undefined && account.uid === process.getuid?.()) return account;
  const problem = account === undefined ? "there is no such user" : obstacle(account, effective);
  if (problem === undefined) return account;
  if (name === undefined) return undefined;
  throw new PrivilegeError(
    `cannot run as the user ${name}: ${problem}; start the daemon as root and name a user of ` +
      "/etc/passwd with --user, or leave --user out",
  );
}

/** Why this process cannot become that user. */
function obstacle(account: Account, effective: ReadonlySet<CapabilityName>): string | undefined {
  const missing = (["CAP_SETUID", "CAP_SETGID"] as const).filter((name) => !effective.has(name));
  if (missing.length > 0) return `this process lacks ${missing.join(" and ")}`;
  if (isMapped("uid", account.uid) && isMapped("gid", account.gid) && maySetGroups()) return;
  return "this user namespace does not allow it";
}

/** Makes a directory that does not exist yet, for the user. Others' are left as they are. */
function provide(directory: string, account: Account | undefined): void {
  if (existsSync(directory)) return;
  try {
    mkdirSync(directory, { recursive: true, mode: 0o755 });
    if (account !== undefined) chownSync(directory, account.uid, account.gid);
  } catch (error) {
    throw new PrivilegeError(
      `cannot make the directory ${directory}: ${(error as Error).message}; make it and give it ` +
        "to the user that the daemon runs as, or name another with --socket or --state-dir",
      { cause: error },
    );
  }
}

/** Makes a directory that is the user's alone, or gives the one that is there to the user. */
function give(directory: string, account: Account | undefined): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  if (account !== undefined) chownSync(directory, account.uid, account.gid);
}

/**
 * The groups of the one who started the daemon are given up. As a member of the control socket's
 * group it may give the socket to it, without CAP_CHOWN.
 */
function become(account: Account | undefined, { effective }: Privileges): void {
  const group = controlGroup();
  if (effective.has("CAP_SETGID") && maySetGroups()) {
    process.setgroups?.(group === undefined ? [] : [group]);
  }
  if (account === undefined || account.uid === process.getuid?.()) return;
  process.setgid?.(account.gid);
  process.setuid?.(account.uid);
}

/**
 * Root without CAP_DAC_OVERRIDE reads and writes what its modes allow, like everybody.
 * @throws PrivilegeError that names the file and the remedy
 */
function requireAccess({ configFile, socket, stateDir }: ConfinementOptions): void {
  const { R_OK, W_OK, X_OK } = constants;
  const program = process.argv[1] ?? process.execPath;
  const wanted = [
    [program, R_OK, "install L3SHIM where every user may read it, or try --read-any-file"],
    [configFile, R_OK, "let it be read by that user: it holds no secret"],
    [dirname(socket), W_OK | X_OK, "chown it to that user, or name another with --socket"],
    [
      stateDir,
      W_OK | X_OK,
      "chown it and what is in it to that user, or name another with --state-dir",
    ],
  ] as const;
  for (const [path, mode, remedy] of wanted) {
    if (path === undefined) continue;
    try {
      accessSync(path, mode);
    } catch (error) {
      throw new PrivilegeError(
        `the daemon runs as uid ${process.getuid?.()} without CAP_DAC_OVERRIDE, ` +
          `and may not ${mode === R_OK ? "read" : "write to"} ${path} ` +
          `(${(error as NodeJS.ErrnoException).code}); ${remedy}`,
        { cause: error },
      );
    }
  }
}
