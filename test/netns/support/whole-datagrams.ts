import koffi from "koffi";
import {
  AF_INET6,
  bindSocket,
  closeDescriptor,
  openSocket,
  sendBytes,
  setSocketOption,
} from "../../../src/linux/libc.ts";
import { SystemError } from "../../../src/linux/system-error.ts";
import { type Address, writeAddress } from "../../../src/wire/address.ts";

const libc = koffi.load(null);
const connect = libc.func("int connect(int fd, const void *address, uint32_t length)");
const getsockopt = libc.func("int getsockopt(int fd, int level, int name, void *v, void *length)");

const SOCK_DGRAM = 2;
const SOL_IPV6 = 41;
const IPV6_MTU_DISCOVER = 23;
const IPV6_PMTUDISC_DO = 2;
const IPV6_MTU = 24;
const IPV6_DONTFRAG = 62;

/**
 * A connected UDP socket whose datagrams are never fragmented, in the calling thread's network
 * namespace: what RFC 3542 section 11 offers to applications that look for the path's MTU, and
 * Node does not.
 */
export class WholeDatagrams {
  readonly #fd: number;

  constructor(local: Address, peer: Address, port: number) {
    this.#fd = openSocket(AF_INET6, SOCK_DGRAM, 0, "open a UDP socket");
    this.#set(IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DO);
    this.#set(IPV6_DONTFRAG, 1);
    bindSocket(this.#fd, socketAddress(local, 0), `bind to ${local}`);
    const destination = socketAddress(peer, port);
    if (connect(this.#fd, destination, destination.length) < 0) {
      throw new SystemError(`connect to ${peer}`, "connect", koffi.errno());
    }
  }

  /** The path's MTU in octets, as the kernel tells applications. */
  get pathMtu(): number {
    const value = new Int32Array(1);
    const length = new Uint32Array([value.byteLength]);
    if (getsockopt(this.#fd, SOL_IPV6, IPV6_MTU, value, length) < 0) {
      throw new SystemError("ask for the path's MTU", "getsockopt", koffi.errno());
    }
    return value[0] ?? 0;
  }

  /**
   * Sends a datagram that makes a packet of `octets`.
   * @returns whether the kernel took it, instead of EMSGSIZE: larger than the path's MTU
   */
  send(octets: number): boolean {
    const data = new Uint8Array(octets - 40 - 8);
    try {
      sendBytes(this.#fd, data, data.length, "send a datagram");
      return true;
    } catch (error) {
      if (error instanceof SystemError && error.code === "EMSGSIZE") return false;
      throw error;
    }
  }

  close(): void {
    closeDescriptor(this.#fd);
  }

  #set(name: number, value: number): void {
    setSocketOption(this.#fd, SOL_IPV6, name, value, "forbid fragments");
  }
}

/** struct sockaddr_in6: family, port, flow label, address, scope. */
function socketAddress(address: Address, port: number): Uint8Array {
  const bytes = new Uint8Array(28);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, AF_INET6, true);
  view.setUint16(2, port);
  writeAddress(address, bytes, 8);
  return bytes;
}
