/** Receives an MPEG-TS stream over UDP, as a player would, and checks it packet by packet. */
import { createSocket } from "node:dgram";
import { createWriteStream } from "node:fs";
import { Arrivals } from "./arrivals.ts";
import { readOptions } from "./options.ts";
import { fail, print, whenTold } from "./output.ts";
import { TransportStreamChecker } from "./transport-stream.ts";

/** Octets */
const RECEIVE_BUFFER = 4 * 1024 * 1024;

const options = readOptions("listen", "port", "save");
const arrivals = new Arrivals();
const checker = new TransportStreamChecker();
const file = createWriteStream(options.save);

file.on("error", fail);
const socket = createSocket({ type: "udp6", recvBufferSize: RECEIVE_BUFFER });
socket.on("error", fail);
socket.on("message", (datagram) => {
  const now = Date.now();
  for (const from of checker.record(datagram, now)) {
    print({ type: "loss", from, to: now, missing: 1 });
  }
  arrivals.record(datagram.length);
  file.write(datagram);
});
socket.bind({ address: options.listen, port: Number(options.port) }, () => {
  print({ type: "ready" });
});
whenTold(() => {
  socket.close();
  file.end(() => {
    print({ type: "result", app: "ts-receive", ...checker.summary(), ...arrivals.finish() });
  });
});
