import type { IncomingMessage, ServerResponse } from "node:http";
import { SCHEMA_VERSION } from "../api.ts";

const BODY_LIMIT = 16_384;

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

/** Answers by `action`, or says what the client did wrong, or we. */
export async function answerSafely(
  response: ServerResponse,
  action: () => Promise<void> | void,
): Promise<void> {
  try {
    await action();
  } catch (error) {
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
