import { type Address, addressFromBytes, addressToBytes } from "../wire/address.ts";
import { AF_INET6 } from "./libc.ts";
import { BodyWriter, viewOf } from "./netlink.ts";
import { NetlinkSocket } from "./netlink-socket.ts";

const NETLINK_SOCK_DIAG = 4;
const SOCK_DIAG_BY_FAMILY = 20;
const IPPROTO_TCP = 6;
/** struct inet_diag_req_v2 with its struct inet_diag_sockid. */
const REQUEST_LENGTH = 56;
const INET_DIAG_REQ_BYTECODE = 1;
/** Where the ports stand in struct inet_diag_msg. */
const LOCAL_PORT = 4;
const PEER_PORT = 6;
const PEER_ADDRESS = 24;

/** TCP_ESTABLISHED, FIN_WAIT1, CLOSE_WAIT, LAST_ACK, CLOSING: data may wait for its acknowledgement. */
const SENDING_STATES = [1, 4, 8, 9, 11];

const INET_DIAG_BC_S_COND = 7;
const INET_DIAG_BC_D_COND = 8;
const ADDRESS_BITS = 128;
/** struct inet_diag_bc_op, struct inet_diag_hostcond and the address. */
const CONDITION_LENGTH = 4 + 8 + 16;
/** A jump this far beyond the end means "no". */
const REJECT = 4;

/** A TCP connection of this host; ports 1 .. 65535. */
export interface TcpConnection {
  readonly localPort: number;
  readonly peerPort: number;
}

/** The same with its ends. */
export interface TcpSession extends TcpConnection {
  readonly local: Address;
  readonly peer: Address;
}

/** Finds sockets of the network namespace that it was made in (sock_diag(7)). */
export class SocketDiagnostics {
  readonly #socket = new NetlinkSocket(NETLINK_SOCK_DIAG);

  /**
   * The TCP connections between two addresses that may have sent something.
   * @throws SystemError
   */
  tcpConnections(local: Address, peer: Address): TcpConnection[] {
    const attempt = `list the TCP connections from ${local} to ${peer}`;
    const body = encodeRequest({ local, peer });
    return this.#socket
      .dump(SOCK_DIAG_BY_FAMILY, body, attempt)
      .map((message) => connectionOf(message.body));
  }

  /** The same for all peers. @throws SystemError */
  tcpSessions(local: Address): TcpSession[] {
    const attempt = `list the TCP connections from ${local}`;
    return this.#socket
      .dump(SOCK_DIAG_BY_FAMILY, encodeRequest({ local }), attempt)
      .map(({ body }) => ({
        ...{ local, peer: addressFromBytes(body, PEER_ADDRESS) },
        ...connectionOf(body),
      }));
  }

  /** Safe to call twice. */
  close(): void {
    this.#socket.close();
  }
}

function connectionOf(message: Uint8Array): TcpConnection {
  const view = viewOf(message);
  return { localPort: view.getUint16(LOCAL_PORT), peerPort: view.getUint16(PEER_PORT) };
}

interface Ends {
  readonly local: Address;
  readonly peer?: Address;
}

function encodeRequest(ends: Ends): Uint8Array {
  const header = new Uint8Array(REQUEST_LENGTH);
  header[0] = AF_INET6;
  header[1] = IPPROTO_TCP;
  const states = SENDING_STATES.reduce((mask, state) => mask | (1 << state), 0);
  viewOf(header).setUint32(4, states, true);
  return new BodyWriter(header).bytes(INET_DIAG_REQ_BYTECODE, encodeFilter(ends)).finish();
}

/** All conditions must hold: each goes on to the next, or jumps beyond the end. */
function encodeFilter({ local, peer }: Ends): Uint8Array {
  const filter = new Uint8Array((peer === undefined ? 1 : 2) * CONDITION_LENGTH);
  writeCondition(filter, 0, INET_DIAG_BC_S_COND, local);
  if (peer !== undefined) writeCondition(filter, CONDITION_LENGTH, INET_DIAG_BC_D_COND, peer);
  return filter;
}

function writeCondition(filter: Uint8Array, at: number, code: number, address: Address): void {
  const view = viewOf(filter);
  filter[at] = code;
  filter[at + 1] = CONDITION_LENGTH;
  view.setUint16(at + 2, filter.length - at + REJECT, true);
  filter[at + 4] = AF_INET6;
  filter[at + 5] = ADDRESS_BITS;
  view.setInt32(at + 8, -1, true);
  filter.set(addressToBytes(address), at + 12);
}
