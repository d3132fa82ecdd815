import { AF_INET6, addressOf, closeDescriptor, controlDevice, openSocket } from "./libc.ts";
import { viewOf } from "./netlink.ts";

const SIOCETHTOOL = 0x8946;
const SOCK_DGRAM = 2;

/** struct ifreq: the interface's name, then a pointer to a struct ethtool_value. */
const IFREQ_LENGTH = 40;
const IFNAMSIZ = 16;
const ETHTOOL_VALUE_LENGTH = 8;

/** From linux/ethtool.h: the command that reads, the command that sets. */
const OFFLOADS = {
  txChecksum: [0x16, 0x17],
  tso: [0x1e, 0x1f],
  gso: [0x23, 0x24],
  gro: [0x2b, 0x2c],
} as const;

/**
 * What a network device or the kernel does for packets on their way to or from it: checksums and
 * segmentation on the way out (tso in hardware, gso in software), reassembly on the way in (gro).
 */
export type Offload = keyof typeof OFFLOADS;

/**
 * Switches an offload of an interface of the calling thread's network namespace.
 * @param name the interface's
 * @throws SystemError ENODEV without such an interface, EOPNOTSUPP when it is fixed
 */
export function setOffload(name: string, offload: Offload, on: boolean): void {
  const attempt = `switch ${on ? "on" : "off"} ${offload} of ${name}`;
  callEthtool(name, OFFLOADS[offload][1], on ? 1 : 0, attempt);
}

/** Whether an offload is on. @throws SystemError ENODEV without such an interface */
export function readOffload(name: string, offload: Offload): boolean {
  return callEthtool(name, OFFLOADS[offload][0], 0, `read ${offload} of ${name}`) !== 0;
}

/** @returns the value that the kernel left */
function callEthtool(name: string, command: number, value: number, attempt: string): number {
  const ethtoolValue = new Uint8Array(ETHTOOL_VALUE_LENGTH);
  const view = viewOf(ethtoolValue);
  view.setUint32(0, command, true);
  view.setUint32(4, value, true);
  const request = new Uint8Array(IFREQ_LENGTH);
  new TextEncoder().encodeInto(name, request.subarray(0, IFNAMSIZ - 1));
  viewOf(request).setBigUint64(IFNAMSIZ, addressOf(ethtoolValue), true);
  const fd = openSocket(AF_INET6, SOCK_DGRAM, 0, attempt);
  try {
    controlDevice(fd, SIOCETHTOOL, request, attempt);
  } finally {
    closeDescriptor(fd);
  }
  return view.getUint32(4, true);
}
