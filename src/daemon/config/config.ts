import { readFileSync } from "node:fs";
import { parse, TomlError } from "smol-toml";
import * as v from "valibot";
import type { Detection, Encapsulation, FailBackPolicy, SecurityMode } from "../../core/config.ts";
import { ADAPTIVE_KEEPALIVE_TIMEOUT } from "../../core/defaults.ts";
import { type Duration, seconds } from "../../core/time.ts";
import type { TriggerPolicy } from "../../dataplane/dataplane.ts";
import type { Sec } from "../../identity/sec.ts";
import type { SubnetPrefix } from "../../identity/subnet-prefix.ts";
import type { Address } from "../../wire/address.ts";
import type { Warning } from "../api.ts";
import type { HttpConfig } from "../control/loopback.ts";
import type { Readers } from "../control/socket.ts";
import { type Problem, problemOf } from "../validation.ts";
import { KeyPositions } from "./positions.ts";
import { CONFIG_SCHEMA, type ConfigFile } from "./schema.ts";

const MEBIBYTE = 1024 * 1024;

const DEFAULT_CONFIG_FILE = "/etc/l3shim/config.toml";

/** The daemon's configuration, checked and with every default filled in. */
export interface DaemonConfig {
  readonly security: SecurityMode;
  readonly dataplane: "auto" | "ebpf" | "nfqueue";
  readonly sendTimeout: Duration;
  readonly detect: Detection;
  /** What peers are told where it is shorter than the Send Timeout; `undefined`: the latter. */
  readonly keepaliveTimeout: Duration | undefined;
  readonly contextIdleTimeout: Duration;
  readonly maxContexts: number;
  readonly maxContextsPerPrefix: number;
  readonly trigger: TriggerPolicy;
  /** `undefined`: contexts return to a better pair by command only. */
  readonly failBack: FailBackPolicy | undefined;
  /** `undefined`: Shim6 never goes in UDP. */
  readonly encapsulation: Encapsulation | undefined;
  readonly ebpf: EbpfConfig;
  readonly nfqueue: NfqueueConfig;
  /** Offer temporary addresses (RFC 8981) as locators too. */
  readonly temporaryLocators: boolean;
  readonly uplinks: readonly UplinkConfig[];
  readonly hostIdentity: IdentityConfig;
  /** Applications get also the ICMPv6 errors that the shim acts on (RFC 5533 section 8). */
  readonly deliverAllIcmp: boolean;
  /** Who may open the control socket. */
  readonly controlReaders: Readers;
  /** The control API on TCP, too; `undefined`: it is not. */
  readonly http: HttpConfig | undefined;
  /** Of programs that are told of events. */
  readonly hookDirectory: string;
  readonly record: RecordConfig;
  readonly logLevel: "error" | "warn" | "info" | "debug" | "trace";
}

/** What the protocol engine is given, written down for `l3shim replay`. */
export interface RecordConfig {
  /** `undefined`: nothing is. */
  readonly file: string | undefined;
  /** Octets. */
  readonly maxSize: number;
}

export interface EbpfConfig {
  /** On a bpffs; where programs and maps are pinned. */
  readonly pinDirectory: string;
}

export interface NfqueueConfig {
  readonly inboundHook: "prerouting" | "input";
  readonly backend: "auto" | "nft" | "ip6tables";
  /** Number of the queue, and of the log group. */
  readonly queue: number;
}

/** The addresses that the daemon makes for the host, where locators must be proven. */
export interface IdentityConfig {
  /** False: none are made. */
  readonly addresses: boolean;
  /** Of new sets: how dear it is to forge them, and to make them. */
  readonly sec: Sec;
  /** RSA modulus of a new key. */
  readonly keyBits: number;
  /** In each new set beside those of the uplinks: they will come some time. */
  readonly prefixes: readonly SubnetPrefix[];
}

export interface UplinkConfig {
  readonly interface: string;
  /** `undefined`: as the interface's default route says. */
  readonly gateway: Address | undefined;
  /** Below PRIORITIES; lower is tried earlier; `undefined` for the default. */
  readonly priority: number | undefined;
  /** Tried after all that are none. */
  readonly backup: boolean;
  /** Its traffic costs money: tried after all others, backups too. */
  readonly metered: boolean;
  /** Its share of the contexts among uplinks of one priority, as in DNS SRV: 0 .. 255. */
  readonly weight: number;
  /** Less stable than the others (RFC 5533 section 5.15.3). */
  readonly transient: boolean;
  /** Never an uplink, whatever routes it has. */
  readonly exclude: boolean;
  /** The one to make an address in; `undefined`: those of the interface's addresses. */
  readonly prefix: SubnetPrefix | undefined;
}

/** Each line of the message names file, line and key, and what would be right. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

/**
 * Reads the configuration file. The default file may be missing; one that the user named may
 * not.
 * @throws ConfigError
 */
export function loadConfig(file: string | undefined): DaemonConfig {
  const path = file ?? DEFAULT_CONFIG_FILE;
  let source: string;
  try {
    source = readFileSync(path, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" && file === undefined) return parseConfig("", path);
    throw new ConfigError(`cannot read the configuration file ${path}: ${code ?? String(error)}`, {
      cause: error,
    });
  }
  return parseConfig(source, path);
}

/** @throws ConfigError when `source` is no TOML, or has an unknown key or a bad value. */
export function parseConfig(source: string, file: string): DaemonConfig {
  const raw = parseToml(source, file);
  const result = v.safeParse(CONFIG_SCHEMA, raw, { abortPipeEarly: true });
  const problems = result.success
    ? repeatedInterfaces(result.output)
    : result.issues.map(problemOf);
  if (problems.length > 0) throw new ConfigError(describeProblems(problems, source, file));
  return fromFile(result.output as ConfigFile);
}

/** What is allowed but deserves a word. */
export function configWarnings(config: DaemonConfig): Warning[] {
  return [...sendTimeoutWarnings(config.sendTimeout), ...securityWarnings(config.security)];
}

export function sendTimeoutWarnings(sendTimeout: Duration): Warning[] {
  if (sendTimeout >= seconds(10)) return [];
  const text =
    `send-timeout is ${sendTimeout / 1000} s: RFC 5534 recommends at least 10 s, ` +
    "and a slow path may look like a broken one";
  return [{ code: "short-send-timeout", severity: "info", text }];
}

function securityWarnings(security: SecurityMode): Warning[] {
  if (security === "verified") return [];
  const text = "security is unverified: peers' locators are believed without proof";
  return [{ code: "unverified", severity: "info", text }];
}

function parseToml(source: string, file: string): unknown {
  try {
    return parse(source);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const reason = error.message.split("\n")[0]?.replace("Invalid TOML document: ", "");
    throw new ConfigError(`${file}:${error.line}: column ${error.column}: ${reason}`, {
      cause: error,
    });
  }
}

function repeatedInterfaces(config: ConfigFile): Problem[] {
  const names = config.uplink.map((uplink) => uplink.interface);
  return names.flatMap((name, i) =>
    names.indexOf(name) === i
      ? []
      : [{ path: ["uplink", i, "interface"], text: `"${name}" has an [[uplink]] already` }],
  );
}

function describeProblems(problems: readonly Problem[], source: string, file: string): string {
  const positions = new KeyPositions(source);
  const lines = problems.map(({ path, text }) => {
    const key = path.filter((part) => typeof part === "string").join(".");
    return { line: positions.lineOf(path) ?? 1, text: `${key}: ${text}` };
  });
  lines.sort((a, b) => a.line - b.line);
  return lines.map(({ line, text }) => `${file}:${line}: ${text}`).join("\n");
}

function keepaliveTimeout(file: ConfigFile): Duration | undefined {
  const told = file["keepalive-timeout"];
  if (told !== undefined) return seconds(told);
  return file.detect === "adaptive" ? ADAPTIVE_KEEPALIVE_TIMEOUT : undefined;
}

function fromFile(file: ConfigFile): DaemonConfig {
  return {
    security: file.security,
    dataplane: file.dataplane,
    sendTimeout: seconds(file["send-timeout"]),
    detect: file.detect,
    keepaliveTimeout: keepaliveTimeout(file),
    contextIdleTimeout: seconds(file["context-idle-timeout"]),
    maxContexts: file["max-contexts"],
    maxContextsPerPrefix: file["max-contexts-per-prefix"],
    trigger: {
      packets: file.trigger.packets,
      age: file.trigger.age === undefined ? undefined : seconds(file.trigger.age),
    },
    failBack: failBackFrom(file["fail-back"]),
    encapsulation: file.encapsulation.enabled ? { port: file.encapsulation.port } : undefined,
    ebpf: { pinDirectory: file.ebpf["pin-directory"] },
    nfqueue: {
      inboundHook: file.nfqueue["inbound-hook"],
      backend: file.nfqueue.backend,
      queue: file.nfqueue.queue,
    },
    temporaryLocators: file.locators.temporary,
    uplinks: file.uplink.map((uplink) => ({
      interface: uplink.interface,
      gateway: uplink.gateway,
      priority: uplink.priority,
      backup: uplink.backup,
      metered: uplink.metered,
      weight: uplink.weight,
      transient: uplink.transient,
      exclude: uplink.exclude,
      prefix: uplink.prefix,
    })),
    hostIdentity: {
      addresses: file.identity.addresses,
      sec: file.identity.sec,
      keyBits: file.identity["key-bits"],
      prefixes: file.identity.prefixes,
    },
    deliverAllIcmp: file["icmp-errors"] === "all",
    controlReaders: file.control.readers,
    http: file.http.listen && { ...file.http.listen, commands: file.http.commands },
    hookDirectory: file.hooks.directory,
    record: { file: file.record.file, maxSize: file.record["max-size"] * MEBIBYTE },
    logLevel: file.log.level,
  };
}

function failBackFrom(table: ConfigFile["fail-back"]): FailBackPolicy | undefined {
  if (!table.automatic) return undefined;
  return { hold: seconds(table.hold), maxHold: seconds(table["max-hold"]) };
}
