import { accessSync, constants, existsSync, mkdirSync, readdirSync, unlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { BpfMap, possibleCpus } from "../../linux/bpf-map.ts";
import { BpfObject } from "../../linux/bpf-object.ts";
import type { BpfProgram } from "../../linux/bpf-program.ts";
import { isBpffs } from "../../linux/bpffs.ts";
import { SystemError } from "../../linux/system-error.ts";
import { DataPlaneError } from "../dataplane.ts";
import {
  COUNTERS,
  encodeSettings,
  GENERATION,
  type KernelDrill,
  type KernelSettings,
  LAYOUT_VERSION,
  layoutVersionOf,
  REMEMBERED_MAX,
  SETTINGS_LENGTH,
} from "./layout.ts";
import { TrafficRecords } from "./records.ts";

const MAP_NAMES = [
  "pairs",
  "tags",
  "peer_tags",
  "forks",
  "records",
  "remembered",
  "candidates",
  "locals",
  "settings",
  "counters",
  "events",
  "tcp_query",
] as const;

type MapName = (typeof MAP_NAMES)[number];

/** The maps that have an entry, or some, for each context. */
const SIZED: readonly MapName[] = ["pairs", "tags", "peer_tags", "forks", "records"];

export interface KernelOptions {
  /** What clang made of bpf/shim6.bpf.c. */
  readonly objectFile: string;
  /** On a bpffs; made when it is missing. What is pinned there outlives the process. */
  readonly pinDirectory: string;
  /** Contexts at most. */
  readonly contexts: number;
}

/**
 * The programs and maps in the kernel. They are pinned: a daemon that comes after this one, or
 * after its crash, takes the maps over with all that is in them.
 */
export class KernelHalf {
  readonly pairs: BpfMap;
  readonly tags: BpfMap;
  readonly peerTags: BpfMap;
  readonly forks: BpfMap;
  readonly locals: BpfMap;
  readonly candidates: BpfMap;
  readonly events: BpfMap;
  readonly tcpQuery: BpfMap;
  readonly records: TrafficRecords;
  /** The maps are those of an earlier run. */
  readonly adopted: boolean;
  readonly #object: BpfObject;
  readonly #directory: string;
  /** The map `settings`, which the programs read while it is written. */
  readonly #memory: Uint8Array;
  #settings: KernelSettings | undefined;

  /** @throws DataPlaneError, SystemError when this kernel or process cannot load the programs */
  static open(options: KernelOptions): KernelHalf {
    provideDirectory(options.pinDirectory);
    const object = openObject(options.objectFile);
    const found = findPinned(options.pinDirectory);
    try {
      for (const name of SIZED) object.setMaxEntries(name, options.contexts);
      object.setMaxEntries("remembered", REMEMBERED_MAX * possibleCpus());
      if (found !== undefined) reuseAll(object, found);
      object.load();
      const half = new KernelHalf(object, options.pinDirectory, found !== undefined);
      if (found === undefined) half.#pinMaps();
      return half;
    } catch (error) {
      object.close();
      throw error;
    } finally {
      for (const map of found?.values() ?? []) map.close();
    }
  }

  private constructor(object: BpfObject, directory: string, adopted: boolean) {
    this.#object = object;
    this.#directory = directory;
    this.adopted = adopted;
    this.pairs = object.map("pairs");
    this.tags = object.map("tags");
    this.peerTags = object.map("peer_tags");
    this.forks = object.map("forks");
    this.locals = object.map("locals");
    this.candidates = object.map("candidates");
    this.events = object.map("events");
    this.tcpQuery = object.map("tcp_query");
    this.#memory = object.map("settings").memory();
    this.records = new TrafficRecords({
      records: object.map("records").memory(),
      remembered: object.map("remembered").memory(),
      forget: () => this.pairsChanged(),
    });
  }

  program(name: string): BpfProgram {
    return this.#object.program(name);
  }

  /** Ends the drill of an earlier run, too. */
  configure(settings: KernelSettings): void {
    this.#settings = settings;
    this.drill(undefined);
  }

  /** Once it is configured. @param drill `undefined` ends the one that there is */
  drill(drill: KernelDrill | undefined): void {
    if (this.#settings === undefined) return;
    this.#memory.set(encodeSettings(this.#settings, drill));
  }

  /** To be called after each change of {@link pairs}: the programs remember what they found there. */
  pairsChanged(): void {
    const { buffer, byteOffset } = this.#memory;
    Atomics.add(new Uint32Array(buffer, byteOffset + GENERATION, 1), 0, 1);
  }

  /** By name, over all processors. */
  get counters(): Record<(typeof COUNTERS)[number], number> {
    const map = this.#object.map("counters");
    const value = new Uint8Array(map.valueSize);
    const key = new Uint8Array(4);
    const counts = COUNTERS.map((name, index) => {
      new DataView(key.buffer).setUint32(0, index, true);
      map.lookup(key, value);
      const perProcessor = new BigUint64Array(value.buffer);
      return [name, Number(perProcessor.reduce((sum, count) => sum + count, 0n))] as const;
    });
    return Object.fromEntries(counts) as Record<(typeof COUNTERS)[number], number>;
  }

  /** The path of a pin of ours. */
  pinPath(name: string): string {
    return join(this.#directory, name);
  }

  /** Takes all pins away: the kernel forgets what nobody holds. */
  remove(): void {
    removePins(this.#directory);
    this.close();
  }

  /** What is pinned goes on. Safe to call twice. */
  close(): void {
    this.#object.close();
  }

  #pinMaps(): void {
    for (const name of MAP_NAMES) this.#object.map(name).pin(this.pinPath(name));
  }
}

/** The kernel has files of its own on a bpffs. */
function isOurPin(name: string): boolean {
  return (MAP_NAMES as readonly string[]).includes(name) || name.startsWith("link-");
}

/** Removes all pins of ours; without the directory there is nothing to do. */
export function removePins(directory: string): void {
  if (!existsSync(directory)) return;
  for (const name of readdirSync(directory).filter(isOurPin)) unlinkSync(join(directory, name));
}

function provideDirectory(directory: string): void {
  try {
    if (isBpffs(dirname(directory))) mkdirSync(directory, { recursive: true, mode: 0o700 });
    accessSync(directory, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw cannotPin(directory, error as NodeJS.ErrnoException);
  }
  if (isBpffs(directory)) return;
  throw new DataPlaneError(
    `no bpffs is mounted at ${directory}, where programs and maps are pinned`,
    `Mount it: mount -t bpf bpf ${directory}. Or name another place with ebpf.pin-directory.`,
  );
}

function cannotPin(directory: string, cause: NodeJS.ErrnoException): DataPlaneError {
  return new DataPlaneError(
    `cannot pin programs in ${directory}: ${cause.code}`,
    "Start the daemon as root, or mount a bpffs there for its user (ebpf.pin-directory).",
    { cause },
  );
}

function openObject(file: string): BpfObject {
  if (existsSync(file)) return BpfObject.open(file);
  throw new DataPlaneError(
    `the compiled eBPF programs are missing: ${file}`,
    "Install clang and libbpf-dev and run scripts/setup, or install a package that has them.",
  );
}

/**
 * The maps of an earlier run, all of them and of this version; others are forgotten, for there is
 * nothing to go on with.
 */
function findPinned(directory: string): Map<MapName, BpfMap> | undefined {
  const found = new Map<MapName, BpfMap>();
  try {
    for (const name of MAP_NAMES) found.set(name, BpfMap.fromPin(join(directory, name)));
  } catch (error) {
    for (const map of found.values()) map.close();
    if (!(error instanceof SystemError) || error.code !== "ENOENT") throw error;
    removePins(directory);
    return undefined;
  }
  if (isOurVersion(found)) return found;
  for (const map of found.values()) map.close();
  removePins(directory);
  return undefined;
}

function isOurVersion(maps: Map<MapName, BpfMap>): boolean {
  const settings = maps.get("settings");
  if (settings?.valueSize !== SETTINGS_LENGTH) return false;
  const value = new Uint8Array(SETTINGS_LENGTH);
  return settings.lookup(new Uint8Array(4), value) && layoutVersionOf(value) === LAYOUT_VERSION;
}

/** Others are as large as the programs' source says. */
function isSizedHere(name: MapName): boolean {
  return name === "remembered" || SIZED.includes(name);
}

function reuseAll(object: BpfObject, found: Map<MapName, BpfMap>): void {
  for (const [name, map] of found) {
    if (isSizedHere(name)) object.setMaxEntries(name, map.maxEntries);
    object.reuseMap(name, map);
  }
}
