import type { Address } from "../wire/address.ts";
import { PROTOCOL_ICMPV6 } from "../wire/ipv6.ts";
import { passOnly, setIcmp6Filter } from "./icmp6-socket.ts";
import { viewOf } from "./netlink.ts";
import { MAX_MESSAGE_LENGTH, RawSocket, type ReceivedMessage } from "./raw-socket.ts";

const ECHO_REQUEST = 128;
const ECHO_REPLY = 129;
const HEADER_LENGTH = 8;

/** Octets of the longest echo that can be sent, IPv6 header left out. */
export const MAX_ECHO_LENGTH = MAX_MESSAGE_LENGTH;

/** An ICMPv6 Echo Request or Reply (RFC 4443 section 4), seen from this host. */
export interface Echo {
  readonly local: Address;
  readonly peer: Address;
  /** 16 bits, which tell one asker from others. */
  readonly identifier: number;
  /** 16 bits. */
  readonly sequence: number;
  /** Octets from the ICMPv6 header on: 8 to {@link MAX_ECHO_LENGTH}. */
  readonly length: number;
}

export interface EchoSocket {
  /** Never in fragments. @throws SystemError EMSGSIZE beyond what the kernel knows of the path's MTU */
  send(request: Echo): void;
  close(): void;
}

/**
 * Sends echo requests from any address of the host, and receives all replies.
 * @throws SystemError EPERM without CAP_NET_RAW
 */
export function openEchoSocket(
  onReply: (reply: Echo) => void,
  onError: (error: Error) => void,
): EchoSocket {
  const purpose = "use a raw socket for ICMPv6 echoes";
  const setUp = (fd: number): void => setIcmp6Filter(fd, passOnly([ECHO_REPLY]), purpose);
  const receive = (message: ReceivedMessage): void => {
    const reply = decodeReply(message);
    if (reply !== undefined) onReply(reply);
  };
  const socket = new RawSocket({ protocol: PROTOCOL_ICMPV6, purpose, setUp }, receive, onError);
  return {
    send: (request) => {
      const { local: source, peer: destination } = request;
      socket.send({ source, destination, bytes: encodeRequest(request) });
    },
    close: () => socket.close(),
  };
}

/** The kernel adds the checksum. */
function encodeRequest({ identifier, sequence, length }: Echo): Uint8Array {
  const bytes = new Uint8Array(length);
  bytes[0] = ECHO_REQUEST;
  const view = viewOf(bytes);
  view.setUint16(4, identifier);
  view.setUint16(6, sequence);
  return bytes;
}

/** Others may slip in between the socket's creation and its filter. */
function decodeReply({ source, destination, bytes }: ReceivedMessage): Echo | undefined {
  if (bytes[0] !== ECHO_REPLY || bytes.length < HEADER_LENGTH) return undefined;
  const view = viewOf(bytes);
  return {
    local: destination,
    peer: source,
    identifier: view.getUint16(4),
    sequence: view.getUint16(6),
    length: bytes.length,
  };
}
