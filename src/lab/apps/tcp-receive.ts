/** Receives one TCP transfer, hashes it and measures its silences. */
import { createHash } from "node:crypto";
import { createServer, type Socket } from "node:net";
import { Arrivals } from "./arrivals.ts";
import { readOptions } from "./options.ts";
import { fail, print, whenTold } from "./output.ts";

/** ms to go on once the lab has died or given up; the sender's end comes well before. */
const PATIENCE = 10_000;

const options = readOptions("listen", "port");
const server = createServer({ allowHalfOpen: true }, receive);
server.on("error", fail);
server.listen({ host: options.listen, port: Number(options.port) }, () => print({ type: "ready" }));
whenTold(() => setTimeout(() => process.exit(1), PATIENCE).unref());

function receive(socket: Socket): void {
  server.close();
  const peer = socket.remoteAddress ?? "";
  const arrivals = new Arrivals();
  const hash = createHash("sha256");
  socket.on("error", fail);
  socket.on("data", (chunk) => {
    arrivals.record(chunk.length);
    hash.update(chunk);
  });
  socket.on("end", () => {
    const sha256 = hash.digest("hex");
    print({ type: "result", app: "tcp-receive", sha256, peer, ...arrivals.finish() });
    socket.end(() => process.exit(0));
  });
}
