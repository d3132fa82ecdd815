import type { Address } from "../wire/address.ts";
import { PROTOCOL_SHIM6 } from "../wire/ipv6.ts";
import { Acquaintances } from "./acquaintances.ts";
import { SOL_SOCKET, setSocketOption } from "./libc.ts";
import {
  type OutgoingMessage,
  RawSocket,
  type RawSocketOptions,
  type ReceivedMessage,
} from "./raw-socket.ts";
import { Shim6UdpSocket } from "./shim6-udp-socket.ts";
import {
  DROP,
  FilterProgram,
  type Instruction,
  ifBits,
  ifEqual,
  KEEP,
  loadOctet,
} from "./socket-filter.ts";

const SO_MARK = 36;

/** Octet 2 of the Shim6 header: P, which is 1 for payload, and the type (RFC 5533 section 5.3). */
const TYPE_OFFSET = 2;
const P_BIT = 0x80;
const I1 = 1;
const I2 = 3;
const I2BIS = 6;

/**
 * I1, I2 and I2bis that are taken in a second at most. Those of strangers must leave something
 * of the endpoint's answers to acquaintances.
 */
const ACQUAINTANCES_PACE = 1000;
const STRANGERS_PACE = 800;
/** Octets; some 600 messages, which wait for less than a second. */
const OPENERS_BUFFER = 256 * 1024;
/** Some 10,000 octets of option memory for the filter; older kernels allow a socket 20,480. */
const ACQUAINTANCES_MAX = 256;
/** ms from a new acquaintance to the filters that know it. */
const FILTER_DELAY = 5;

/** A Shim6 control message, or a packet with the payload extension header, that leaves. */
export interface OutgoingShim6 extends OutgoingMessage {
  /** In UDP. */
  readonly encapsulated?: boolean;
}

export type OnShim6Message = (message: ReceivedMessage, encapsulated: boolean) => void;

/** Sends and receives Shim6 control messages (P=0) of this host. */
export interface Shim6Socket {
  /** See {@link RawSocket.send}. */
  send(message: OutgoingShim6): void;
  /** Safe to call twice. */
  close(): void;
  /** Messages that found the buffer of their kind full. */
  readonly overruns: Readonly<Record<MessageSource, number>>;
  /**
   * I1, I2 and I2bis from this address come in by themselves from now on, whatever strangers
   * send. The newest 256 addresses count.
   */
  acquaint(address: Address): void;
}

/**
 * Three streams that don't compete. "context": what a context of ours has asked for or has told
 * its tag to. The others begin something, and anybody can send them.
 */
type MessageSource = "context" | "acquaintances" | "strangers";

/**
 * Payload (P=1) is the data plane's; a filter drops it in the kernel. The Shim6 checksum has no
 * pseudo-header (RFC 5533 section 5.3), so the kernel's IPV6_CHECKSUM must stay off.
 * @param port of Shim6 in UDP; without it there is none
 * @param mark what packets sent carry, for policy rules to go by; 0 for nothing
 * @throws SystemError EPERM without CAP_NET_RAW, or with a mark without CAP_NET_ADMIN
 */
export function openShim6Socket(
  onMessage: OnShim6Message,
  onError: (error: Error) => void,
  port?: number,
  mark = 0,
): Shim6Socket {
  return new ControlSockets(onMessage, onError, port, mark);
}

class ControlSockets implements Shim6Socket {
  readonly #acquaintances = new Acquaintances(ACQUAINTANCES_MAX);
  readonly #onError: (error: Error) => void;
  readonly #sockets: Readonly<Record<MessageSource, RawSocket>>;
  readonly #udp: Shim6UdpSocket | undefined;
  #filterTimer: NodeJS.Timeout | undefined;

  constructor(
    onMessage: OnShim6Message,
    onError: (error: Error) => void,
    port: number | undefined,
    mark: number,
  ) {
    this.#onError = onError;
    const opened: { close(): void }[] = [];
    const open = (source: MessageSource, options: Partial<RawSocketOptions>): RawSocket => {
      const socket = this.#open(source, options, onMessage, mark);
      opened.push(socket);
      return socket;
    };
    try {
      this.#sockets = {
        context: open("context", {}),
        acquaintances: open("acquaintances", openers(ACQUAINTANCES_PACE)),
        strangers: open("strangers", openers(STRANGERS_PACE)),
      };
      const udp = { mark, pace: STRANGERS_PACE, openersBuffer: OPENERS_BUFFER };
      if (port !== undefined) {
        const take = (message: ReceivedMessage): void => onMessage(message, true);
        this.#udp = new Shim6UdpSocket({ port, ...udp }, take, onError);
      }
    } catch (error) {
      for (const socket of opened) socket.close();
      throw error;
    }
  }

  get overruns(): Readonly<Record<MessageSource, number>> {
    const { context, acquaintances, strangers } = this.#sockets;
    const udp = this.#udp?.overruns ?? { context: 0, openers: 0 };
    return {
      context: context.overruns + udp.context,
      acquaintances: acquaintances.overruns,
      strangers: strangers.overruns + udp.openers,
    };
  }

  send(message: OutgoingShim6): void {
    const socket = message.encapsulated === true ? this.#udp : this.#sockets.context;
    if (socket === undefined) throw new Error("Shim6 in UDP has no port");
    socket.send(message);
  }

  acquaint(address: Address): void {
    if (!this.#acquaintances.add(address)) return;
    this.#filterTimer ??= setTimeout(() => this.#changeFilters(), FILTER_DELAY);
  }

  close(): void {
    clearTimeout(this.#filterTimer);
    for (const socket of Object.values(this.#sockets)) socket.close();
    this.#udp?.close();
  }

  #open(
    source: MessageSource,
    options: Partial<RawSocketOptions>,
    onMessage: OnShim6Message,
    mark: number,
  ): RawSocket {
    const purpose = "use a raw socket for Shim6 control messages";
    const filter = this.#filter(source);
    const setUp = (fd: number): void => {
      if (mark !== 0) setSocketOption(fd, SOL_SOCKET, SO_MARK, mark, purpose);
    };
    // Others may slip in between the socket's creation and its filter.
    const isDue = ({ bytes }: ReceivedMessage): boolean => {
      const type = bytes[TYPE_OFFSET] ?? P_BIT;
      return (type & P_BIT) === 0 && isOpener(type) === (source !== "context");
    };
    return new RawSocket(
      { protocol: PROTOCOL_SHIM6, purpose, filter, setUp, ...options },
      (message) => {
        if (isDue(message)) onMessage(message, false);
      },
      this.#onError,
    );
  }

  #filter(source: MessageSource): FilterProgram {
    if (source === "context") return new FilterProgram(OTHERS);
    return new FilterProgram([...OPENERS, ...this.#acquaintances.instructions(source)]);
  }

  /** In this order a message may come twice meanwhile, but not get lost. */
  #changeFilters(): void {
    this.#filterTimer = undefined;
    try {
      for (const source of ["acquaintances", "strangers"] as const) {
        this.#sockets[source].setFilter(this.#filter(source));
      }
    } catch (error) {
      this.#onError(error as Error);
    }
  }
}

function openers(pace: number): Partial<RawSocketOptions> {
  return { pace, receiveBuffer: OPENERS_BUFFER };
}

function isOpener(type: number): boolean {
  return type === I1 || type === I2 || type === I2BIS;
}

/** Control messages but for I1, I2 and I2bis. */
const OTHERS: readonly Instruction[] = [
  loadOctet(TYPE_OFFSET),
  ifBits(P_BIT, 3, 0),
  ifEqual(I1, 2, 0),
  ifEqual(I2, 1, 0),
  ifEqual(I2BIS, 0, 1),
  DROP,
  KEEP,
];

/** The beginning of a filter that goes on with I1, I2 and I2bis only. */
const OPENERS: readonly Instruction[] = [
  loadOctet(TYPE_OFFSET),
  ifEqual(I1, 3, 0),
  ifEqual(I2, 2, 0),
  ifEqual(I2BIS, 1, 0),
  DROP,
];
