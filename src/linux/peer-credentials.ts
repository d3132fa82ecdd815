import { readSocketOption, SOL_SOCKET } from "./libc.ts";

/** Who is at the other end of a Unix socket, as of its connect(2); in our user namespace. */
export interface PeerCredentials {
  readonly uid: number;
  /** Its primary group. */
  readonly gid: number;
  /** Its supplementary groups. */
  readonly groups: readonly number[];
}

const SO_PEERCRED = 17;
const SO_PEERGROUPS = 59;

/** struct ucred: pid, uid, gid */
const UCRED_LENGTH = 12;
const GID_LENGTH = 4;
/** NGROUPS_MAX */
const MOST_GROUPS = 65_536;

const PURPOSE = "tell who is at the other end of a Unix socket";

/**
 * The kernel noted these when the peer connected: unlike what /proc says about its process, they
 * cannot be another's that has got its process ID since.
 * @param fd a connected Unix stream socket
 * @throws SystemError
 */
export function peerCredentials(fd: number): PeerCredentials {
  const ucred = new Uint32Array(UCRED_LENGTH / 4);
  readSocketOption(fd, SOL_SOCKET, SO_PEERCRED, new Uint8Array(ucred.buffer), PURPOSE);
  const [, uid = 0, gid = 0] = ucred;
  return { uid, gid, groups: supplementaryGroups(fd) };
}

function supplementaryGroups(fd: number): number[] {
  const groups = new Uint32Array(MOST_GROUPS);
  const bytes = new Uint8Array(groups.buffer);
  const length = readSocketOption(fd, SOL_SOCKET, SO_PEERGROUPS, bytes, PURPOSE);
  return [...groups.subarray(0, length / GID_LENGTH)];
}
