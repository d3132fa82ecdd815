import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setImmediate as othersHadTheirTurn } from "node:timers/promises";
import { SCHEMA_VERSION } from "../api.ts";

const BODY_LIMIT = 16_384;

/** Items of a list that are made without a pause: some milliseconds' worth. */
const ITEMS_AT_ONCE = 100;

/** What the client did wrong, with the HTTP status that says so. */
export class RequestError extends Error {
  readonly status: number;

  constructor(status: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
  }
}

/** Answers with JSON. @param body a text is what went wrong */
export function reply(response: ServerResponse, status: number, body: object | string): void {
  const fields = typeof body === "string" ? { error: body } : body;
  const text = JSON.stringify({ schemaVersion: SCHEMA_VERSION, ...fields });
  response.writeHead(status, { "content-type": "application/json" });
  response.end(`${text}\n`);
}

/**
 * Answers with JSON whose one member is a list, however long: packets, timers and other clients get
 * their turn while it is made. A client that goes ends it.
 * @param items each is asked for when its turn comes
 */
export async function replyWithList(
  response: ServerResponse,
  name: string,
  items: Iterable<object>,
): Promise<void> {
  response.writeHead(200, { "content-type": "application/json" });
  try {
    await pipeline(Readable.from(listInParts(name, items)), response);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_STREAM_PREMATURE_CLOSE") throw error;
  }
}

/** A list without items, or with few, is one piece. */
async function* listInParts(name: string, items: Iterable<object>): AsyncGenerator<string, void> {
  let before = `{"schemaVersion":${SCHEMA_VERSION},"${name}":[`;
  let part: object[] = [];
  for (const item of items) {
    if (part.length === ITEMS_AT_ONCE) {
      yield before + withoutBrackets(part);
      before = ",";
      part = [];
      await othersHadTheirTurn();
    }
    part.push(item);
  }
  yield `${before}${withoutBrackets(part)}]}\n`;
}

function withoutBrackets(list: readonly object[]): string {
  return JSON.stringify(list).slice(1, -1);
}

/** Answers by `action`, or says what the client did wrong, or we. */
export async function answerSafely(
  response: ServerResponse,
  action: () => Promise<void> | void,
): Promise<void> {
  try {
    await action();
  } catch (error) {
    // Half an answer can't be taken back: its reader sees that it has no end.
    if (response.headersSent) return void response.destroy();
    if (error instanceof RequestError) return reply(response, error.status, error.message);
    reply(response, 500, `internal error: ${(error as Error).message}`);
  }
}

/** @throws RequestError when the body is too long or no JSON. */
export async function readJson(request: IncomingMessage): Promise<unknown> {
  let text = "";
  for await (const chunk of request.setEncoding("utf8")) {
    text += chunk as string;
    if (text.length > BODY_LIMIT) throw new RequestError(400, "the request is too long");
  }
  const value = parseJson(text);
  if (value === undefined) throw new RequestError(400, "the request is no JSON");
  return value;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
