import { readdirSync, readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** What `npm run build` makes of web/; as near to the sources as to what is compiled of them. */
const BUILT = fileURLToPath(new URL("../../../dist/web/", import.meta.url));

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};

/** Nothing but what this server serves, and no page of others around it. */
const HEADERS = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
};

interface PageFile {
  readonly type: string;
  readonly body: Uint8Array;
}

/** The dashboard's files, by their path; they are read when somebody first asks for one. */
export class Page {
  readonly #directory: string;
  #files: ReadonlyMap<string, PageFile> | undefined;

  constructor(directory = BUILT) {
    this.#directory = directory;
  }

  /** @returns false for what is no file of the page */
  answer(path: string, request: IncomingMessage, response: ServerResponse): boolean {
    if (request.method !== "GET" && request.method !== "HEAD") return false;
    this.#files ??= readPage(this.#directory);
    const file = this.#files.get(path === "/" ? "/index.html" : path);
    if (file === undefined) return false;
    // Another release has other files, and all but this one are named after what they hold.
    const lasts = path.startsWith("/assets/") ? "max-age=31536000, immutable" : "no-cache";
    response.writeHead(200, { ...HEADERS, "content-type": file.type, "cache-control": lasts });
    response.end(request.method === "HEAD" ? undefined : file.body);
    return true;
  }
}

function readPage(directory: string): Map<string, PageFile> {
  const names = readdirSync(directory, { recursive: true, encoding: "utf8" });
  return new Map(
    names.flatMap((name) => {
      const type = TYPES[extname(name)];
      if (type === undefined) return [];
      return [[`/${name}`, { type, body: readFileSync(join(directory, name)) }]];
    }),
  );
}
