import type { IncomingMessage } from "node:http";
import { findGroup, isMapped } from "../../linux/accounts.ts";
import { type PeerCredentials, peerCredentials } from "../../linux/peer-credentials.ts";
import { RequestError } from "./http.ts";

export const CONTROL_GROUP = "l3shim";

/** The group that the control socket belongs to, if this system has it. */
export function controlGroup(): number | undefined {
  const group = findGroup(CONTROL_GROUP);
  return group !== undefined && isMapped("gid", group) ? group : undefined;
}

/** Who may change something, beside root. */
export interface Controllers {
  /** The daemon's own user. */
  readonly uid: number;
  /** `undefined`: there is no such group. */
  readonly group: number | undefined;
}

/** Whoever can open the control socket may read; to change something takes more. */
export class Authority {
  readonly #controllers: Controllers;
  readonly #credentials: (request: IncomingMessage) => PeerCredentials;

  constructor(
    controllers: Controllers = { uid: process.geteuid?.() ?? 0, group: controlGroup() },
    credentials: (request: IncomingMessage) => PeerCredentials = credentialsOf,
  ) {
    this.#controllers = controllers;
    this.#credentials = credentials;
  }

  /** @throws RequestError 403 when the request is more than its sender may ask for */
  check(request: IncomingMessage): void {
    if (request.method === "GET" || request.method === "HEAD") return;
    const peer = this.#credentials(request);
    if (this.#allows(peer)) return;
    throw new RequestError(
      403,
      `uid ${peer.uid} may look at the daemon but not change anything; run as root, ` +
        `or join the group ${CONTROL_GROUP} (usermod -aG ${CONTROL_GROUP} USER, then log in anew)`,
    );
  }

  mayChange(request: IncomingMessage): boolean {
    return this.#allows(this.#credentials(request));
  }

  #allows(peer: PeerCredentials): boolean {
    const { uid, group } = this.#controllers;
    if (peer.uid === 0 || peer.uid === uid) return true;
    return group !== undefined && (peer.gid === group || peer.groups.includes(group));
  }
}

/** Node's sockets tell their descriptor only by the handle within. */
function credentialsOf({ socket }: IncomingMessage): PeerCredentials {
  const { _handle: handle } = socket as unknown as { readonly _handle: { readonly fd: number } };
  return peerCredentials(handle.fd);
}
