import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Address, parseAddress } from "../../wire/address.ts";
import { readBootId } from "../boot-id.ts";

/** What must survive a crash cannot be kept. */
export class StateDirectoryError extends Error {
  override readonly name = "StateDirectoryError";
}

/**
 * The ULIDs that the daemon put on the loopback interface, on disk: kernels before 5.18 cannot
 * mark an address as ours.
 */
export class UlidFile {
  readonly #path: string;
  readonly #directory: string;
  readonly #bootId: string;

  /** @param bootId tells this boot from the one before, which took all addresses with it */
  constructor(directory: string, bootId = readBootId()) {
    this.#directory = directory;
    this.#path = join(directory, "ulids.json");
    this.#bootId = bootId;
  }

  /** Empty when there is no file, or one of an earlier boot, or one that nobody can read. */
  read(): Address[] {
    let text: string;
    try {
      text = readFileSync(this.#path, "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw error;
    }
    const state = parseState(text);
    if (state?.bootId !== this.#bootId || !Array.isArray(state.ulids)) return [];
    return state.ulids.flatMap((ulid) => parseAddress(String(ulid)) ?? []);
  }

  /**
   * Replaces the file as a whole: a crash leaves the old list or the new one.
   * @throws StateDirectoryError
   */
  write(ulids: readonly Address[]): void {
    const text = JSON.stringify({ schemaVersion: 1, bootId: this.#bootId, ulids });
    try {
      mkdirSync(this.#directory, { recursive: true, mode: 0o755 });
      writeFileSync(`${this.#path}.new`, `${text}\n`);
      renameSync(`${this.#path}.new`, this.#path);
    } catch (error) {
      throw new StateDirectoryError(
        `cannot write the state directory ${this.#directory}: ${(error as Error).message}; ` +
          "run as root, or name another with --state-dir",
        { cause: error },
      );
    }
  }
}

/** `undefined` for what a full disk may have cut off. */
function parseState(text: string): { bootId?: unknown; ulids?: unknown } | undefined {
  try {
    const state: unknown = JSON.parse(text);
    return typeof state === "object" && state !== null ? state : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
