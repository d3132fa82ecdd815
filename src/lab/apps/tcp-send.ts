/**
 * Sends seeded data over TCP at a steady rate until `--bytes` are out (0: until standard input
 * closes). The rate makes the transfer last over a failure; what an outage delayed isn't made up.
 */
import { createHash } from "node:crypto";
import { connect } from "node:net";
import { readOptions } from "./options.ts";
import { fail, print, whenTold } from "./output.ts";
import { SeededData } from "./seeded-data.ts";

/** ms */
const TICK = 10;
const MOST_TICKS_AT_ONCE = 10;

const options = readOptions("from", "to", "port", "rate", "bytes", "seed");
const bytesPerTick = (Number(options.rate) * TICK) / 1000;
const limit = Number(options.bytes) || Number.POSITIVE_INFINITY;
const data = new SeededData(options.seed);
const hash = createHash("sha256");
let sent = 0;
let budget = 0;
let lastTick = performance.now();
let finished = false;

const socket = connect({
  host: options.to,
  port: Number(options.port),
  ...(options.from === "any" ? {} : { localAddress: options.from }),
});
socket.setNoDelay(true);
socket.on("error", fail);
socket.on("connect", () => {
  print({ type: "ready" });
  lastTick = performance.now();
  const ticker = setInterval(tick, TICK);
  socket.on("close", () => clearInterval(ticker));
});
// The receiver closes its side when it has everything.
socket.on("end", () => {
  print({ type: "result", app: "tcp-send", bytes: sent, sha256: hash.digest("hex") });
});
socket.resume();
whenTold(finish);

function tick(): void {
  const now = performance.now();
  budget += ((now - lastTick) / TICK) * bytesPerTick;
  budget = Math.min(budget, MOST_TICKS_AT_ONCE * bytesPerTick);
  lastTick = now;
  if (finished || socket.writableNeedDrain) return;
  const length = Math.min(Math.floor(budget), limit - sent);
  budget -= length;
  if (length > 0) send(length);
  if (sent >= limit) finish();
}

function send(length: number): void {
  const chunk = data.next(length);
  hash.update(chunk);
  sent += length;
  socket.write(chunk);
}

function finish(): void {
  if (finished) return;
  finished = true;
  socket.end();
}
