/**
 * Where each key of a TOML text stands. The parser gives line numbers for syntax errors only;
 * a user who mistyped a value wants one too.
 */
export class KeyPositions {
  readonly #lines = new Map<string, number>();

  /** @param source a text that the TOML parser accepts. */
  constructor(source: string) {
    const arrayLengths = new Map<string, number>();
    let table: string[] = [];
    for (const [index, line] of source.split(/\r?\n/).entries()) {
      const header = /^\s*(\[\[?)([^\]]+)\]/.exec(line);
      if (header !== null) {
        table = splitKey(header[2] ?? "");
        if (header[1] === "[[") table = nextElement(table, arrayLengths);
        this.#record(table, index + 1);
        continue;
      }
      const key = KEY_OF_ASSIGNMENT.exec(line)?.[1];
      if (key !== undefined) this.#record([...table, ...splitKey(key)], index + 1);
    }
  }

  /** The line, from 1, of the key or, for a key inside an inline table, of what holds it. */
  lineOf(path: readonly (string | number)[]): number | undefined {
    for (let length = path.length; length > 0; length--) {
      const line = this.#lines.get(pathKey(path.slice(0, length)));
      if (line !== undefined) return line;
    }
    return undefined;
  }

  #record(path: readonly string[], line: number): void {
    for (let length = 1; length <= path.length; length++) {
      const key = pathKey(path.slice(0, length));
      if (length === path.length || !this.#lines.has(key)) this.#lines.set(key, line);
    }
  }
}

/** Bare, "quoted" and 'literal' keys (TOML 1.0, "Keys"). */
const KEY_PART = /"(?:[^"\\]|\\.)*"|'[^']*'|[A-Za-z0-9_-]+/g;
const PART = `(?:${KEY_PART.source})`;
const KEY_OF_ASSIGNMENT = new RegExp(`^\\s*(${PART}(?:\\s*\\.\\s*${PART})*)\\s*=`);

function splitKey(text: string): string[] {
  const parts = text.match(KEY_PART) ?? [];
  return parts.map((part) => part.replace(/^(["'])(.*)\1$/, "$2"));
}

/** The n-th [[name]] is the element n of the array. */
function nextElement(table: readonly string[], lengths: Map<string, number>): string[] {
  const key = pathKey(table);
  const index = lengths.get(key) ?? 0;
  lengths.set(key, index + 1);
  return [...table, String(index)];
}

function pathKey(path: readonly (string | number)[]): string {
  return path.join("\0");
}
