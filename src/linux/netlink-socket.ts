import {
  AF_NETLINK,
  bindSocket,
  closeDescriptor,
  growSocketBuffers,
  openSocket,
  receiveBytes,
  SOCK_RAW,
  sendBytes,
  setSocketOption,
} from "./libc.ts";
import {
  decodeAck,
  decodeDone,
  decodeMessages,
  encodeMessage,
  type NetlinkAck,
  type NetlinkMessage,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSG_OVERRUN,
  viewOf,
} from "./netlink.ts";
import { SystemError } from "./system-error.ts";

const SOL_NETLINK = 270;
const NETLINK_ADD_MEMBERSHIP = 1;
const NETLINK_NO_ENOBUFS = 5;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const SOCKADDR_NL_LENGTH = 12;

/** The kernel fills at most 32 KiB per read of a dump. */
const RECEIVE_LENGTH = 65_536;
const DUMP_ATTEMPTS = 10;
const ENOBUFS = 105;
const EIO = 5;
const EAGAIN = 11;

/**
 * A netlink socket. Requests are synchronous: the kernel handles them within send() and has the
 * answer waiting when it returns, so that nothing blocks longer than the request itself takes.
 * Use one socket for requests and another for notifications.
 */
export class NetlinkSocket {
  readonly fd: number;
  readonly #buffer = new Uint8Array(RECEIVE_LENGTH);
  #sequence = 0;
  #open = true;

  /**
   * @param protocol NETLINK_ROUTE or NETLINK_NETFILTER
   * @throws SystemError
   */
  constructor(protocol: number) {
    this.fd = openSocket(AF_NETLINK, SOCK_RAW, protocol, "open a netlink socket");
    try {
      this.#setOption(NETLINK_CAP_ACK, 1);
      this.#setOption(NETLINK_EXT_ACK, 1);
      const address = new Uint8Array(SOCKADDR_NL_LENGTH);
      viewOf(address).setUint16(0, AF_NETLINK, true);
      bindSocket(this.fd, address, "bind a netlink socket");
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Subscribes to a multicast group. */
  join(group: number): void {
    this.#setOption(NETLINK_ADD_MEMBERSHIP, group);
  }

  /** Sizes in octets; best effort. */
  growBuffers(receive: number, send: number): void {
    growSocketBuffers(this.fd, receive, send);
  }

  /** Overruns no longer fail reads with ENOBUFS: lost messages are simply lost. */
  ignoreOverruns(): void {
    this.#setOption(NETLINK_NO_ENOBUFS, 1);
  }

  /**
   * Sends a request and waits for its acknowledgement.
   * @param attempt completes "cannot …" in an error
   * @throws SystemError with the kernel's own explanation, where it gives one
   */
  request(type: number, flags: number, body: Uint8Array, attempt: string): void {
    const sequence = this.send(type, flags | NLM_F_ACK, body, attempt);
    for (;;) {
      for (const message of this.#receiveAnswer(attempt)) {
        if (message.sequence !== sequence || message.type !== NLMSG_ERROR) continue;
        throwOnError(decodeAck(message), attempt);
        return;
      }
    }
  }

  /**
   * Reads a whole table. A dump that changed under the kernel's hands is read anew.
   * @throws SystemError
   */
  dump(type: number, body: Uint8Array, attempt: string): NetlinkMessage[] {
    for (let i = 0; i < DUMP_ATTEMPTS; i++) {
      const messages = this.#dumpOnce(type, body, attempt);
      if (messages !== undefined) return messages;
    }
    throw new SystemError(attempt, "netlink", EAGAIN, "the table kept changing while it was read");
  }

  /** Sends a request; returns its sequence number. */
  send(type: number, flags: number, body: Uint8Array, attempt: string): number {
    this.#sequence = (this.#sequence + 1) >>> 0;
    const message = { type, flags: flags | NLM_F_REQUEST, sequence: this.#sequence, body };
    const bytes = encodeMessage(message);
    sendBytes(this.fd, bytes, bytes.length, attempt);
    return this.#sequence;
  }

  /**
   * The messages of the next datagram, valid until the next read; `undefined` when none waits,
   * "overrun" when the kernel had to drop notifications: whoever follows a table must read it anew.
   */
  receive(attempt: string): NetlinkMessage[] | "overrun" | undefined {
    let length: number | undefined;
    try {
      length = receiveBytes(this.fd, this.#buffer, attempt);
    } catch (error) {
      if (error instanceof SystemError && error.errno === ENOBUFS) return "overrun";
      throw error;
    }
    if (length === undefined) return undefined;
    if (length > this.#buffer.length) return "overrun";
    const messages = decodeMessages(this.#buffer.subarray(0, length));
    return messages.some(({ type }) => type === NLMSG_OVERRUN) ? "overrun" : messages;
  }

  /** Safe to call twice. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    closeDescriptor(this.fd);
  }

  #receiveAnswer(attempt: string): NetlinkMessage[] {
    const messages = this.receive(attempt);
    if (messages === "overrun") throw new SystemError(attempt, "recv", ENOBUFS);
    if (messages === undefined) {
      throw new SystemError(attempt, "recv", EIO, "the kernel gave no answer");
    }
    return messages;
  }

  /** One run through the table; `undefined` when it changed on the way. */
  #dumpOnce(type: number, body: Uint8Array, attempt: string): NetlinkMessage[] | undefined {
    const sequence = this.send(type, NLM_F_DUMP, body, attempt);
    const messages: NetlinkMessage[] = [];
    for (;;) {
      const answer = this.#receiveAnswer(attempt).filter((part) => part.sequence === sequence);
      for (const message of answer) {
        if (message.type === NLMSG_ERROR) throwOnError(decodeAck(message), attempt);
        if (message.type === NLMSG_DONE) throwOnError(decodeDone(message), attempt);
        // The buffer is used again for the next part.
        messages.push({ ...message, body: message.body.slice() });
      }
      if (answer.some(({ type }) => type === NLMSG_DONE)) break;
    }
    if (messages.some(({ flags }) => (flags & NLM_F_DUMP_INTR) !== 0)) return undefined;
    return messages.filter(({ type }) => type !== NLMSG_DONE);
  }

  #setOption(option: number, value: number): void {
    setSocketOption(this.fd, SOL_NETLINK, option, value, "set up a netlink socket");
  }
}

function throwOnError(ack: NetlinkAck, attempt: string): void {
  if (ack.errno !== 0) throw new SystemError(attempt, "netlink", ack.errno, ack.text);
}
