import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { COLLISION_COUNT_MAX, MODIFIER_LENGTH } from "../../identity/parameters.ts";
import { fromHex, toHex } from "../../wire/hex.ts";
import { type RsaKey, readPrivateKey } from "../crypto/rsa-key.ts";
import { prefix64 } from "../validation.ts";
import type { SetRecord } from "./own-set.ts";

const DIRECTORY_MODE = 0o700;
const FILE_MODE = 0o600;
const OTHERS = 0o077;
const SCHEMA_VERSION = 1;

/** The host's identity cannot be read, kept, or trusted. */
export class IdentityFileError extends Error {
  override readonly name = "IdentityFileError";
}

const MODIFIER = v.pipe(
  v.string(),
  v.length(2 * MODIFIER_LENGTH),
  v.transform(fromHex),
  v.instance(Uint8Array),
);
const SETS_SCHEMA = v.object({
  schemaVersion: v.literal(SCHEMA_VERSION),
  sets: v.array(
    v.object({
      sec: v.picklist([0, 1, 2]),
      prefixes: v.pipe(v.array(prefix64), v.minLength(1)),
      modifier: MODIFIER,
      collisionCount: v.pipe(
        v.number(),
        v.integer(),
        v.minValue(0),
        v.maxValue(COLLISION_COUNT_MAX),
      ),
    }),
  ),
});

/**
 * The host's key and address sets on disk, so that it has the same addresses after a restart.
 * Whoever reads the key can move the host's sessions: what others could have read is refused.
 */
export class IdentityFiles {
  readonly #directory: string;
  readonly #keyFile: string;
  readonly #setsFile: string;

  constructor(stateDirectory: string) {
    this.#directory = join(stateDirectory, "identity");
    this.#keyFile = join(this.#directory, "key.pem");
    this.#setsFile = join(this.#directory, "sets.json");
  }

  /** `undefined` where there is none yet. @throws IdentityFileError */
  readKey(): RsaKey | undefined {
    const pem = this.#read(this.#keyFile);
    if (pem === undefined) return undefined;
    const key = readPrivateKey(pem);
    if (!key.ok) throw this.#unusable(this.#keyFile, key.error.message);
    return key.value;
  }

  /** @throws IdentityFileError */
  writeKey({ pem }: RsaKey): void {
    this.#write(this.#keyFile, pem);
  }

  /** Newest first. @throws IdentityFileError */
  readSets(): SetRecord[] {
    const text = this.#read(this.#setsFile);
    if (text === undefined) return [];
    const result = v.safeParse(SETS_SCHEMA, parseJson(text));
    if (result.success) return result.output.sets;
    throw this.#unusable(this.#setsFile, result.issues[0].message);
  }

  /** @throws IdentityFileError */
  writeSets(records: readonly SetRecord[]): void {
    const sets = records.map((record) => ({ ...record, modifier: toHex(record.modifier) }));
    this.#write(this.#setsFile, `${JSON.stringify({ schemaVersion: SCHEMA_VERSION, sets })}\n`);
  }

  #read(file: string): string | undefined {
    try {
      this.#refuseReadable(this.#directory);
      this.#refuseReadable(file);
      return readFileSync(file, "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      if (error instanceof IdentityFileError) throw error;
      throw new IdentityFileError(
        `cannot read ${file}: ${(error as Error).message}; ${this.#directory} and what it holds ` +
          `must belong to user ${process.geteuid?.()}, whom the daemon runs as`,
        { cause: error },
      );
    }
  }

  #refuseReadable(path: string): void {
    const { mode, uid } = statSync(path);
    const owner = process.geteuid?.();
    if ((mode & OTHERS) === 0 && uid === owner) return;
    const state = `mode ${(mode & 0o777).toString(8)}, user ${uid}`;
    throw new IdentityFileError(
      `${path} is open to others than user ${owner} (${state}): somebody may have the key of this ` +
        `host's addresses; remove ${this.#directory} to get new ones, or, where nobody can have ` +
        "read it, take the permissions away (chmod -R go= and chown -R)",
    );
  }

  /** Replaces the file as a whole: a crash leaves the old one or the new one. */
  #write(file: string, text: string): void {
    const fresh = `${file}.new`;
    try {
      mkdirSync(this.#directory, { recursive: true, mode: DIRECTORY_MODE });
      this.#refuseReadable(this.#directory);
      rmSync(fresh, { force: true });
      writeFileSync(fresh, text, { mode: FILE_MODE, flag: "wx", flush: true });
      renameSync(fresh, file);
    } catch (error) {
      if (error instanceof IdentityFileError) throw error;
      throw new IdentityFileError(
        `cannot write ${file}: ${(error as Error).message}; run as root, or name another ` +
          "directory with --state-dir",
        { cause: error },
      );
    }
  }

  #unusable(file: string, reason: string): IdentityFileError {
    return new IdentityFileError(
      `${file} is damaged: ${reason}; restore it from a copy, or remove ${this.#directory} to get ` +
        "a new key and new addresses",
    );
  }
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
