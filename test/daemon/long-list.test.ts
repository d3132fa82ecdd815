import {
  createServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { setImmediate } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { SCHEMA_VERSION } from "../../src/daemon/api.ts";
import { answerSafely, RequestError, replyWithList } from "../../src/daemon/control/http.ts";

interface Item {
  readonly number: number;
}

let server: Server;

beforeEach(() => {
  server = createServer();
});

afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

/** Serves the items. @returns its answer, and what comes of answering */
async function ask(items: Iterable<Item>) {
  const answered = new Promise<void>((resolve, reject) => {
    server.once("request", (_, response: ServerResponse) => {
      answerSafely(response, () => replyWithList(response, "items", items)).then(resolve, reject);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "::1", resolve));
  const { port } = server.address() as AddressInfo;
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request({ host: "::1", port }, resolve).once("error", reject).end();
  });
  return { response, answered };
}

function* itemsUpTo(count: number, made?: (number: number) => void): Generator<Item> {
  for (let number = 1; number <= count; number++) {
    made?.(number);
    yield { number };
  }
}

test.each([0, 1, 99, 100, 101, 200, 1234])("a list of %i is one JSON object", async (count) => {
  const { response, answered } = await ask(itemsUpTo(count));
  const whole = await text(response);
  await answered;
  expect(response.headers["content-type"]).toBe("application/json");
  expect(whole.endsWith("\n")).toBe(true);
  expect(JSON.parse(whole)).toEqual({
    schemaVersion: SCHEMA_VERSION,
    items: [...itemsUpTo(count)],
  });
});

test("others have their turn while a long list is made", async () => {
  let made = 0;
  let isOver = false;
  const between: number[] = [];
  const other = (async () => {
    for (let last = made; !isOver; last = made) {
      await setImmediate();
      between.push(made - last);
    }
  })();
  const { response, answered } = await ask(itemsUpTo(5000, (number) => (made = number)));
  await text(response);
  await answered;
  isOver = true;
  await other;
  expect(made).toBe(5000);
  // At most a part that is written, and the one after it.
  expect(Math.max(...between)).toBeLessThanOrEqual(200);
});

test("nothing more is made for a client that has gone", async () => {
  let made = 0;
  const { response, answered } = await ask(itemsUpTo(1_000_000, (number) => (made = number)));
  response.destroy();
  await answered;
  expect(made).toBeLessThan(1_000_000);
});

test("a list that can't be made to its end is cut off", async () => {
  const problem = new RequestError(400, "too late");
  const { response, answered } = await ask(
    itemsUpTo(500, (number) => {
      if (number === 250) throw problem;
    }),
  );
  await expect(text(response)).rejects.toThrow("aborted");
  await answered;
});
