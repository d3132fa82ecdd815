/** Receives numbered datagrams until standard input closes; finds losses and silences. */
import { createSocket } from "node:dgram";
import { Arrivals } from "./arrivals.ts";
import { decodeDatagram } from "./datagram.ts";
import { readOptions } from "./options.ts";
import { fail, print, whenTold } from "./output.ts";
import { SequenceTracker } from "./sequence-tracker.ts";

/** Octets; a busy machine must not make the kernel drop what the network delivered. */
const RECEIVE_BUFFER = 4 * 1024 * 1024;

const options = readOptions("listen", "port");
const arrivals = new Arrivals();
const sequence = new SequenceTracker();
let corrupt = 0;
let lastArrival = Date.now();
let peer = "";

const socket = createSocket({ type: "udp6", recvBufferSize: RECEIVE_BUFFER });
socket.on("error", fail);
socket.on("message", (datagram, { address }) => {
  const now = Date.now();
  peer = address;
  const number = decodeDatagram(datagram);
  if (number === undefined) corrupt += 1;
  else {
    const missing = sequence.record(number);
    if (missing > 0) print({ type: "loss", from: lastArrival, to: now, missing });
  }
  arrivals.record(datagram.length);
  lastArrival = now;
});
socket.bind({ address: options.listen, port: Number(options.port) }, () => {
  print({ type: "ready" });
});
whenTold(() => {
  socket.close();
  print({
    type: "result",
    app: "udp-receive",
    peer,
    corrupt,
    ...sequence.summary(),
    ...arrivals.finish(),
  });
});
