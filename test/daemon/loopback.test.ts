import type { IncomingMessage } from "node:http";
import { expect, test } from "vitest";
import { LoopbackGuard } from "../../src/daemon/control/loopback.ts";

function check(method: string, headers: object, commands = false): void {
  const guard = new LoopbackGuard({ host: "::1", port: 9140, commands });
  guard.check({ method, headers } as IncomingMessage);
}

const OURS = { host: "localhost:9140" };

test.each([
  ["GET", OURS, false],
  ["HEAD", { host: "[::1]:9140" }, false],
  ["GET", { ...OURS, origin: "http://localhost:9140" }, false],
  ["POST", { host: "127.0.0.1:9140" }, true],
])("answers %s with %j", (method, headers, commands) => {
  expect(() => check(method, headers, commands)).not.toThrow();
});

test.each([
  ["GET", { host: "evil.example:9140" }, "ask by a name of this host's loopback"],
  ["GET", { host: "localhost:80" }, "ask by a name of this host's loopback"],
  ["GET", {}, "ask by a name of this host's loopback"],
  ["GET", { ...OURS, origin: "http://evil.example" }, "other sites are not answered"],
  ["GET", { ...OURS, origin: "null" }, "other sites are not answered"],
  ["POST", OURS, "nothing is changed by this address"],
])("refuses %s with %j", (method, headers, message) => {
  expect(() => check(method, headers)).toThrow(message);
});
