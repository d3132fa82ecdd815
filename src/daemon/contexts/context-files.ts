import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import type { SavedContext } from "../../core/saved-context.ts";
import type { DataPlane } from "../../dataplane/dataplane.ts";
import type { Address } from "../../wire/address.ts";
import { type ContextTag, formatTag, parseTag } from "../../wire/tag.ts";
import { readBootId } from "../boot-id.ts";
import { ipv6Address } from "../validation.ts";

const DIRECTORY_MODE = 0o700;
const FILE_MODE = 0o600;
const OTHERS = 0o077;
const SCHEMA_VERSION = 1;
const SUFFIX = ".json";

const FILE_SCHEMA = v.object({
  schemaVersion: v.literal(SCHEMA_VERSION),
  bootId: v.string(),
  dataplane: v.string(),
  localUlid: ipv6Address,
  state: v.unknown(),
});

/** A context of an earlier run, as it was kept. */
export interface KeptContext {
  readonly localUlid: Address;
  /** For `Endpoint.restore`, which judges it. */
  readonly state: unknown;
}

/**
 * The contexts on disk, one file each, for a data plane that goes on without its daemon. They
 * need not survive the machine, only the process: nothing waits for the disk.
 */
export class ContextFiles {
  readonly #directory: string;
  readonly #bootId: string;
  /** Names of the files that are there. */
  readonly #present = new Set<string>();

  constructor(stateDirectory: string, bootId = readBootId()) {
    this.#directory = join(stateDirectory, "contexts");
    this.#bootId = bootId;
  }

  /**
   * What a run of this boot over the same plane has kept. All else is removed.
   * @param warn gets what could be read and was no good
   * @throws the system's error where the directory cannot be read or cleaned
   */
  read(dataplane: DataPlane["name"], warn: (error: Error) => void): KeptContext[] {
    if (this.#isOpenToOthers()) {
      warn(new Error(`${this.#directory} is open to others: the contexts in it are not restored`));
      this.removeAll();
      return [];
    }
    const kept: KeptContext[] = [];
    for (const name of this.#list()) {
      const context = this.#readFile(name, dataplane, warn);
      if (context === undefined) this.#remove(name);
      else kept.push(context);
    }
    return kept;
  }

  /** Replaces the file as a whole: a killed process leaves the old one or the new one. */
  write(dataplane: DataPlane["name"], context: SavedContext): void {
    const name = nameOf(context.tag);
    const path = join(this.#directory, name);
    const localUlid = context.ulids.local;
    const envelope = { schemaVersion: SCHEMA_VERSION, bootId: this.#bootId, dataplane, localUlid };
    if (this.#present.size === 0) {
      mkdirSync(this.#directory, { recursive: true, mode: DIRECTORY_MODE });
    }
    const text = JSON.stringify({ ...envelope, state: context });
    writeFileSync(`${path}.new`, `${text}\n`, { mode: FILE_MODE });
    renameSync(`${path}.new`, path);
    this.#present.add(name);
  }

  /** Without a file there is nothing to do. */
  remove(tag: ContextTag): void {
    if (this.#present.has(nameOf(tag))) this.#remove(nameOf(tag));
  }

  /** Removes the files of those contexts that are not wanted any more. */
  retain(isWanted: (tag: ContextTag) => boolean): void {
    for (const name of [...this.#present]) {
      const tag = parseTag(name.slice(0, -SUFFIX.length));
      if (tag === undefined || !isWanted(tag)) this.#remove(name);
    }
  }

  /** Those of any run, and the directory. */
  removeAll(): void {
    rmSync(this.#directory, { recursive: true, force: true });
    this.#present.clear();
  }

  #isOpenToOthers(): boolean {
    const { mode, uid } = statSync(this.#directory, { throwIfNoEntry: false }) ?? {};
    if (mode === undefined) return false;
    return (mode & OTHERS) !== 0 || uid !== process.geteuid?.();
  }

  #list(): string[] {
    try {
      return readdirSync(this.#directory);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw error;
    }
  }

  /** `undefined` for a half-written file, and for what another boot or plane has left. */
  #readFile(
    name: string,
    dataplane: string,
    warn: (error: Error) => void,
  ): KeptContext | undefined {
    if (!name.endsWith(SUFFIX)) return undefined;
    const path = join(this.#directory, name);
    const file = v.safeParse(FILE_SCHEMA, parseJson(readFileSync(path, "utf8")));
    if (!file.success) {
      warn(new Error(`${path} is no context, and is removed: ${file.issues[0].message}`));
      return undefined;
    }
    const { bootId, localUlid, state } = file.output;
    if (bootId !== this.#bootId || file.output.dataplane !== dataplane) return undefined;
    this.#present.add(name);
    return { localUlid, state };
  }

  #remove(name: string): void {
    rmSync(join(this.#directory, name), { force: true });
    this.#present.delete(name);
  }
}

function nameOf(tag: ContextTag): string {
  return `${formatTag(tag)}${SUFFIX}`;
}

/** `undefined`, which fits no schema, where the text is no JSON. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
