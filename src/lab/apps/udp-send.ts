/**
 * Sends numbered datagrams at 1 kHz until standard input closes. Node's timers are not that
 * exact: each tick sends what has become due since the last.
 */
import { createSocket } from "node:dgram";
import { encodeDatagram } from "./datagram.ts";
import { readOptions } from "./options.ts";
import { fail, print, whenTold } from "./output.ts";

const DATAGRAMS_PER_MS = 1;

const options = readOptions("from", "to", "port");
// Not connected: ICMP errors of an outage must not end the stream.
const socket = createSocket("udp6");
let due = 0;
let lastTick = 0;
let sent = 0;
let refused = 0;

socket.on("error", fail);
// The port is the receiver's: so two runs send the same octets.
socket.bind({ address: options.from, port: Number(options.port) }, () => {
  print({ type: "ready" });
  lastTick = performance.now();
  const ticker = setInterval(tick, 1);
  whenTold(() => {
    clearInterval(ticker);
    print({ type: "result", app: "udp-send", sent, refused });
    socket.close();
  });
});

function tick(): void {
  const now = performance.now();
  due += (now - lastTick) * DATAGRAMS_PER_MS;
  lastTick = now;
  for (; due >= 1; due -= 1) {
    socket.send(encodeDatagram(sent), Number(options.port), options.to, countRefusal);
    sent += 1;
  }
}

/** The kernel refuses a datagram while it has no route; for the receiver that is a loss. */
function countRefusal(error: Error | null): void {
  if (error !== null) refused += 1;
}
