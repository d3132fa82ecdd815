/**
 * A link without Ethernet headers: a TUN device in this network namespace and one in another, and
 * what goes into either comes out of the other, as long as this process lives. Arguments: name of
 * the device here, the other namespace, name of the device there. Needs `npm run build`.
 */
import { openSync, read, writeSync } from "node:fs";
import koffi from "koffi";
import { enterNetworkNamespace } from "../../../dist/linux/libc.js";

/** From linux/if_tun.h. */
const TUNSETIFF = 0x400454ca;
const IFF_TUN = 0x0001;
const IFF_NO_PI = 0x1000;

const ioctl = koffi.load(null).func("int ioctl(int fd, unsigned long request, void *argument)");
const [here, namespace, there] = process.argv.slice(2);

function openTun(name) {
  const fd = openSync("/dev/net/tun", "r+");
  const request = new Uint8Array(40);
  request.set(new TextEncoder().encode(name));
  new DataView(request.buffer).setUint16(16, IFF_TUN | IFF_NO_PI, true);
  if (ioctl(fd, TUNSETIFF, request) < 0) throw new Error(`no TUN device ${name}`);
  return fd;
}

function carry(from, to) {
  const packet = new Uint8Array(65_536);
  read(from, packet, 0, packet.length, null, (error, length) => {
    if (error) throw error;
    try {
      writeSync(to, packet, 0, length);
    } catch (failure) {
      // A device that is down takes nothing.
      if (failure.code !== "EIO") throw failure;
    }
    carry(from, to);
  });
}

const near = openTun(here);
enterNetworkNamespace(openSync(`/run/netns/${namespace}`, "r"));
const far = openTun(there);
carry(near, far);
carry(far, near);
console.log("ready");
