import { openSync } from "node:fs";
import { controlDevice } from "./libc.ts";

/** From linux/if_tun.h. */
const TUNSETIFF = 0x400454ca;
const IFF_TUN = 0x0001;
const IFF_NO_PI = 0x1000;

/** struct ifreq: the interface's name, then the flags. */
const IFREQ_LENGTH = 40;
const IFNAMSIZ = 16;

/**
 * Makes a TUN device in the calling thread's network namespace, which stays as long as the
 * descriptor: each read takes a packet that was sent to the device, each write is one that comes
 * from it, both from the IP header on.
 * @throws Error where there is no /dev/net/tun; SystemError EPERM without CAP_NET_ADMIN
 */
export function openTun(name: string): number {
  const fd = openSync("/dev/net/tun", "r+");
  const request = new Uint8Array(IFREQ_LENGTH);
  new TextEncoder().encodeInto(name, request.subarray(0, IFNAMSIZ - 1));
  new DataView(request.buffer).setUint16(IFNAMSIZ, IFF_TUN | IFF_NO_PI, true);
  controlDevice(fd, TUNSETIFF, request, `make the TUN device ${name}`);
  return fd;
}
