import {
  AF_UNIX,
  closeDescriptor,
  connectSocket,
  openSocket,
  SOCK_DGRAM,
  sendBytes,
} from "./libc.ts";
import { SystemError } from "./system-error.ts";

const PURPOSE = "tell the service manager";
/** `sun_path` of a `struct sockaddr_un`, with its final zero. */
const MOST_PATH_OCTETS = 108;
const ENAMETOOLONG = 36;

/**
 * Sends a state to the service manager, as sd_notify(3) does.
 * @param path the socket, from NOTIFY_SOCKET: a path, or a name after "@"
 * @param assignments such as "READY=1"
 * @throws SystemError
 */
export function notifyServiceManager(path: string, assignments: readonly string[]): void {
  const bytes = new TextEncoder().encode(assignments.join("\n"));
  const fd = openSocket(AF_UNIX, SOCK_DGRAM, 0, PURPOSE);
  try {
    connectSocket(fd, unixAddress(path), PURPOSE);
    sendBytes(fd, bytes, bytes.length, PURPOSE);
  } finally {
    closeDescriptor(fd);
  }
}

/** `struct sockaddr_un`. In the abstract name space the first octet is zero, and none ends it. */
function unixAddress(path: string): Uint8Array {
  const name = new TextEncoder().encode(path);
  if (name.length >= MOST_PATH_OCTETS) throw new SystemError(PURPOSE, "connect", ENAMETOOLONG);
  const abstract = path.startsWith("@");
  const address = new Uint8Array(2 + name.length + (abstract ? 0 : 1));
  new DataView(address.buffer).setUint16(0, AF_UNIX, true);
  address.set(name, 2);
  if (abstract) address[2] = 0;
  return address;
}
