import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";

/** Runs by what was tried, in the order of the runs; kept in a file, so that a bench can go on. */
export class Results<Run> {
  readonly #file: string | undefined;
  readonly #runs: Record<string, Run[]>;

  private constructor(file: string | undefined, runs: Record<string, Run[]>) {
    this.#file = file;
    this.#runs = runs;
  }

  /** @param file with earlier runs, where there are any; without one nothing is kept */
  static async open<Run>(file: string | undefined): Promise<Results<Run>> {
    if (file === undefined || !existsSync(file)) return new Results<Run>(file, {});
    const runs = JSON.parse(await readFile(file, "utf8"), revive) as Record<string, Run[]>;
    return new Results(file, runs);
  }

  async add(name: string, run: Run): Promise<void> {
    this.#runs[name] = [...this.of(name), run];
    if (this.#file !== undefined) await writeFile(this.#file, JSON.stringify(this.#runs));
  }

  of(name: string): readonly Run[] {
    return this.#runs[name] ?? [];
  }
}

/** JSON writes what is infinite as null. */
function revive(key: string, value: unknown): unknown {
  return value === null && key !== "" ? Number.POSITIVE_INFINITY : value;
}
