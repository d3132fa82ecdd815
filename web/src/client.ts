import type {
  AccessReply,
  CheckReply,
  ContextReply,
  ContextsReply,
  HistoryReply,
  StatusReply,
} from "../../src/daemon/api.ts";

/** What the daemon has refused, in its words. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** The control API of the daemon that serves this page: paths are relative to it. */
export const client = {
  access: () => ask<AccessReply>("v1/access"),
  status: () => ask<StatusReply>("v1/status"),
  contexts: (offset: number, limit: number) =>
    ask<ContextsReply>(`v1/contexts?offset=${offset}&limit=${limit}`),
  context: (tag: string) => ask<ContextReply>(`v1/contexts/${tag}`),
  history: () => ask<HistoryReply>("v1/history"),
  check: () => ask<CheckReply>("v1/check", {}),
  command: (tag: string, name: string, body: object = {}) =>
    ask<object>(`v1/contexts/${tag}/${name}`, body),
};

/** @throws Refusal */
async function ask<Reply>(path: string, body?: object): Promise<Reply> {
  const request = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  const response = await fetch(path, { cache: "no-store", ...request });
  const reply = (await response.json()) as Reply & { readonly error?: string };
  if (response.ok) return reply;
  throw new Refusal(response.status, reply.error ?? response.statusText);
}
