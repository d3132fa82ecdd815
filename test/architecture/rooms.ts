/**
 * The rooms of src/ and what each may import (docs/architecture.md). biome.json says the same
 * to the editor; architecture.test.ts holds the two together.
 */
export const ROOMS = [
  "cli",
  "client",
  "daemon",
  "lab",
  "sim",
  "dataplane",
  "linux",
  "core",
  "identity",
  "wire",
] as const;

export type Room = (typeof ROOMS)[number];

/** Imports only go down the list; `linux` is for the rooms that touch the host. */
const MAY_IMPORT: Readonly<Record<Room, readonly Room[]>> = {
  cli: ["client", "daemon", "lab", "sim", "core", "identity", "wire"],
  client: ["daemon", "core"],
  daemon: ["lab", "sim", "dataplane", "linux", "core", "identity", "wire"],
  lab: ["sim", "dataplane", "linux", "core", "identity", "wire"],
  sim: ["dataplane", "core", "identity", "wire"],
  dataplane: ["linux", "core", "identity", "wire"],
  linux: ["core", "identity", "wire"],
  core: ["identity", "wire"],
  identity: ["wire"],
  wire: [],
};

/**
 * All that the CLI may know of the daemon: its control API, how to start it, the checks of a host
 * that has none yet, the cryptography of HBA and CGA, which needs no daemon, and the dashboard of a
 * lab's hosts.
 */
const DAEMON_FOR_CLI = [
  "src/daemon/api.ts",
  "src/daemon/start.ts",
  "src/daemon/check/",
  "src/daemon/crypto/",
  "src/daemon/web/",
];

const DAEMON_FOR: Readonly<Partial<Record<Room, readonly string[]>>> = {
  cli: DAEMON_FOR_CLI,
  client: ["src/daemon/api.ts"],
};

/** All that the dashboard may know of the rest: what the control API says, and words for spans. */
const FOR_WEB = ["src/daemon/api.ts", "src/cli/spans.ts"];
const PACKAGES_FOR_WEB = ["preact", "preact/hooks", "uplot", "uplot/dist/uPlot.min.css"];

/** Rooms without Node, clock, randomness or I/O: what they need is injected. */
export const PURE_ROOMS: readonly Room[] = ["core", "identity", "wire"];

/** The one room of a package whose use must not spread; koffi is the FFI. */
const HOME_OF_PACKAGE: Readonly<Record<string, Room>> = {
  koffi: "linux",
  commander: "cli",
  pino: "daemon",
  "prom-client": "daemon",
  "smol-toml": "daemon",
  valibot: "daemon",
};

/** What no pure room may name, besides imports. */
const IMPURE =
  /\bDate\b|\bperformance\b|\bMath\.random\b|\bset(?:Timeout|Interval|Immediate)\b|\bqueueMicrotask\b|\bprocess\.|\bBuffer\b|\bconsole\.|\bglobalThis\b|\bcrypto\./g;

/** A source file, named from the root of the project. */
export interface Module {
  /** Such as "src/core/endpoint.ts". */
  readonly path: string;
  /** Files named like `path`; packages as they stand in the source. */
  readonly imports: readonly string[];
  /** The source without comments. */
  readonly code: string;
}

/** One sentence for each thing in `modules` that the rooms forbid. */
export function violations(modules: readonly Module[]): string[] {
  return modules.flatMap((module) => [
    ...module.imports.flatMap((target) => importViolation(module.path, target) ?? []),
    ...impureWords(module),
  ]);
}

function importViolation(path: string, target: string): string | undefined {
  if (path.startsWith("web/")) return webViolation(path, target);
  const from = roomOf(path);
  if (from === undefined) return `${path} lies in no room`;
  if (!target.startsWith("src/")) return packageViolation(path, from, target);
  const to = roomOf(target);
  if (to === undefined) return `${path} imports ${target}, which lies in no room`;
  if (to === from) return undefined;
  if (!MAY_IMPORT[from].includes(to)) return `${path} imports ${target}: ${from} may not use ${to}`;
  const parts = to === "daemon" ? DAEMON_FOR[from] : undefined;
  if (parts === undefined || isWithin(parts, target)) return undefined;
  return `${path} imports ${target}: ${from} may use only ${parts.join(" and ")}`;
}

function isWithin(parts: readonly string[], target: string): boolean {
  return parts.some((part) => (part.endsWith("/") ? target.startsWith(part) : target === part));
}

function webViolation(path: string, target: string): string | undefined {
  const allowed = target.startsWith("web/") || [...FOR_WEB, ...PACKAGES_FOR_WEB].includes(target);
  return allowed ? undefined : `${path} imports ${target}: web may not use it`;
}

function packageViolation(path: string, from: Room, target: string): string | undefined {
  if (PURE_ROOMS.includes(from)) return `${path} imports ${target}: ${from} is pure`;
  const home = HOME_OF_PACKAGE[target];
  if (home === undefined || home === from) return undefined;
  return `${path} imports ${target}: that is for ${home}`;
}

function impureWords({ path, code }: Module): string[] {
  const room = roomOf(path);
  if (room === undefined || !PURE_ROOMS.includes(room)) return [];
  return [...code.matchAll(IMPURE)].map(([word]) => `${path} names ${word}: ${room} is pure`);
}

function roomOf(path: string): Room | undefined {
  const [, folder] = path.split("/");
  return ROOMS.find((room) => room === folder);
}
