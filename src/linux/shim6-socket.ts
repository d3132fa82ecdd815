import { PROTOCOL_SHIM6 } from "../wire/ipv6.ts";
import { addressOf, SOL_SOCKET, setSocketOption } from "./libc.ts";
import { viewOf } from "./netlink.ts";
import { RawSocket, type ReceivedMessage } from "./raw-socket.ts";

const SO_ATTACH_FILTER = 26;
const SO_MARK = 36;

/** Octet 2 of the Shim6 header starts with P, which is 1 for payload (RFC 5533 section 5.2). */
const P_OFFSET = 2;
const P_BIT = 0x80;

/**
 * Classic BPF, as [code, jump if true, jump if false, operand]. A load beyond the packet's end
 * drops it too. The kernel reaches this by pointer: the module keeps it from being collected.
 */
const CONTROL_ONLY = encodeFilter([
  [0x30, 0, 0, P_OFFSET], // ldb [2]
  [0x45, 0, 1, P_BIT], // jset #0x80
  [0x06, 0, 0, 0], // ret #0: drop
  [0x06, 0, 0, 0xffff_ffff], // ret: keep all
]);

/** Sends and receives Shim6 control messages (P=0) of this host. */
export interface Shim6Socket extends Pick<RawSocket, "send" | "close"> {}

/**
 * Payload (P=1) is the data plane's; a filter drops it in the kernel. The Shim6 checksum has no
 * pseudo-header (RFC 5533 section 5.3), so the kernel's IPV6_CHECKSUM must stay off.
 * @param mark what packets sent carry, for policy rules to go by; 0 for nothing
 * @throws SystemError EPERM without CAP_NET_RAW, or with a mark without CAP_NET_ADMIN
 */
export function openShim6Socket(
  onMessage: (message: ReceivedMessage) => void,
  onError: (error: Error) => void,
  mark = 0,
): Shim6Socket {
  const purpose = "use a raw socket for Shim6 control messages";
  const setUp = (fd: number): void => {
    setSocketOption(fd, SOL_SOCKET, SO_ATTACH_FILTER, filterProgram(CONTROL_ONLY), purpose);
    if (mark !== 0) setSocketOption(fd, SOL_SOCKET, SO_MARK, mark, purpose);
  };
  // Payload may slip in between the socket's creation and its filter.
  const isControl = ({ bytes }: ReceivedMessage): boolean => ((bytes[P_OFFSET] ?? 0) & P_BIT) === 0;
  return new RawSocket(
    { protocol: PROTOCOL_SHIM6, purpose, setUp },
    (message) => {
      if (isControl(message)) onMessage(message);
    },
    onError,
  );
}

type Instruction = readonly [code: number, jumpTrue: number, jumpFalse: number, operand: number];

/** An array of `struct sock_filter`. */
function encodeFilter(instructions: readonly Instruction[]): Uint8Array {
  const bytes = new Uint8Array(instructions.length * 8);
  const view = viewOf(bytes);
  for (const [i, [code, jumpTrue, jumpFalse, operand]] of instructions.entries()) {
    view.setUint16(i * 8, code, true);
    view.setUint8(i * 8 + 2, jumpTrue);
    view.setUint8(i * 8 + 3, jumpFalse);
    view.setUint32(i * 8 + 4, operand, true);
  }
  return bytes;
}

/** A `struct sock_fprog`: the number of instructions and where they are. */
function filterProgram(filter: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(16);
  viewOf(bytes).setUint16(0, filter.length / 8, true);
  viewOf(bytes).setBigUint64(8, addressOf(filter), true);
  return bytes;
}
