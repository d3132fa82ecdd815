import { SOCK_DGRAM, SOL_SOCKET, setSocketOption } from "./libc.ts";
import { type OutgoingMessage, RawSocket, type ReceivedMessage } from "./raw-socket.ts";
import {
  FilterProgram,
  type Instruction,
  ifEqual,
  loadOctet,
  takeAsSocket,
} from "./socket-filter.ts";

const SO_MARK = 36;
const SO_REUSEPORT = 15;
const SO_ATTACH_REUSEPORT_CBPF = 51;

const TYPE_OFFSET = 2;
const P_BIT = 0x80;
const I1 = 1;
const I2 = 3;
const I2BIS = 6;

export interface Shim6UdpOptions {
  /** At both ends: datagrams from another port are dropped. */
  readonly port: number;
  /** What packets sent carry, for policy rules to go by; 0 for nothing. */
  readonly mark: number;
  /** I1, I2 and I2bis that are taken in a second at most. */
  readonly pace: number;
  /** Octets of them that wait at most. */
  readonly openersBuffer: number;
}

/**
 * Control messages in UDP (docs/encapsulation.md): two sockets on the port, between which the
 * kernel chooses by the message's type, so that those that anybody can send keep nobody else's out.
 */
export class Shim6UdpSocket {
  readonly #context: RawSocket;
  readonly #openers: RawSocket;

  /** @throws SystemError EADDRINUSE when somebody else has the port */
  constructor(
    { port, mark, pace, openersBuffer }: Shim6UdpOptions,
    onMessage: (message: ReceivedMessage) => void,
    onError: (error: Error) => void,
  ) {
    const purpose = `take Shim6 in UDP at port ${port}`;
    const setUp = (fd: number): void => {
      if (mark !== 0) setSocketOption(fd, SOL_SOCKET, SO_MARK, mark, purpose);
      setSocketOption(fd, SOL_SOCKET, SO_REUSEPORT, 1, purpose);
    };
    const take = (message: ReceivedMessage): void => {
      // Payload is the data plane's.
      if (((message.bytes[TYPE_OFFSET] ?? P_BIT) & P_BIT) === 0) onMessage(message);
    };
    const common = { type: SOCK_DGRAM, protocol: 0, port, purpose, setUp };
    // In the order in which the program numbers them.
    this.#context = new RawSocket(common, take, onError);
    try {
      this.#openers = new RawSocket(
        { ...common, pace, receiveBuffer: openersBuffer },
        take,
        onError,
      );
      this.#context.setOption(SO_ATTACH_REUSEPORT_CBPF, new FilterProgram(BY_TYPE));
    } catch (error) {
      this.close();
      throw error;
    }
  }

  get overruns(): { readonly context: number; readonly openers: number } {
    return { context: this.#context.overruns, openers: this.#openers.overruns };
  }

  /** @throws SystemError see {@link RawSocket.send} */
  send(message: OutgoingMessage): void {
    this.#context.send(message);
  }

  /** Safe to call twice. */
  close(): void {
    this.#context.close();
    this.#openers?.close();
  }
}

/** Its result is the number of the socket that gets the datagram, from behind the UDP header on. */
const BY_TYPE: readonly Instruction[] = [
  loadOctet(TYPE_OFFSET),
  ifEqual(I1, 3, 0),
  ifEqual(I2, 2, 0),
  ifEqual(I2BIS, 1, 0),
  takeAsSocket(0),
  takeAsSocket(1),
];
