/**
 * A link without Ethernet headers: a TUN device in this network namespace and one in another. What
 * goes into either comes out of the other so many ms later, as long as this process lives.
 */
import { openSync, read, writeSync } from "node:fs";
import { enterNetworkNamespace } from "../../linux/libc.ts";
import { openTun } from "../../linux/tun.ts";
import { readOptions } from "./options.ts";
import { fail, print } from "./output.ts";

const LONGEST_PACKET = 0xffff;

const options = readOptions("device", "namespace", "peer", "delay");
const delay = Number(options.delay);
const near = openTun(options.device);
enterNetworkNamespace(openSync(`/run/netns/${options.namespace}`, "r"));
const far = openTun(options.peer);
carry(near, far);
carry(far, near);
print({ type: "ready" });

/** Packets stay in their order: timers of one length do. */
function carry(from: number, to: number): void {
  const buffer = new Uint8Array(LONGEST_PACKET);
  const next = () =>
    read(from, buffer, 0, buffer.length, null, (error, length) => {
      if (error !== null) fail(error);
      const packet = buffer.slice(0, length);
      if (delay === 0) deliver(to, packet);
      else setTimeout(deliver, delay, to, packet);
      next();
    });
  next();
}

function deliver(to: number, packet: Uint8Array): void {
  try {
    writeSync(to, packet);
  } catch (error) {
    // A device that is down takes nothing.
    if ((error as NodeJS.ErrnoException).code !== "EIO") throw error;
  }
}
