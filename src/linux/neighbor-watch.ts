import type { Address } from "../wire/address.ts";
import { NetlinkSocket } from "./netlink-socket.ts";
import { type ReadableWatch, watchReadable } from "./readable.ts";
import * as rt from "./rtnetlink-constants.ts";
import { decodeNeighbor } from "./rtnetlink-decode.ts";

const ATTEMPT = "follow the kernel's neighbors";
const BUFFER = 256 * 1024;
const DATAGRAMS_PER_WAKE_UP = 256;

/** What {@link NeighborWatch} tells. */
export interface NeighborObserver {
  /** The kernel has found it unreachable (RFC 4861 section 7.3). @param link interface index */
  unreachable(link: number, neighbor: Address): void;
  /** Neighbors can be followed no longer. */
  failed(error: Error): void;
}

/**
 * Tells which neighbors the kernel finds dead, in the network namespace that it was made in. The
 * kernel looks only while packets go to a neighbor. What it had to drop of its notifications, in a
 * storm, is not told: these are hints.
 */
export class NeighborWatch {
  readonly #observer: NeighborObserver;
  readonly #socket = new NetlinkSocket(rt.NETLINK_ROUTE);
  readonly #watch: ReadableWatch;
  #open = true;

  /** @throws SystemError */
  constructor(observer: NeighborObserver) {
    this.#observer = observer;
    try {
      this.#socket.growBuffers(BUFFER, BUFFER);
      this.#socket.join(rt.RTNLGRP_NEIGH);
    } catch (error) {
      this.#socket.close();
      throw error;
    }
    this.#watch = watchReadable(
      this.#socket.fd,
      () => this.#drain(),
      (error) => {
        this.close();
        observer.failed(error);
      },
    );
  }

  /** Safe to call twice. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#watch.close();
    this.#socket.close();
  }

  #drain(): void {
    for (let i = 0; i < DATAGRAMS_PER_WAKE_UP && this.#open; i++) {
      const messages = this.#socket.receive(ATTEMPT);
      if (messages === undefined) return;
      if (messages === "overrun") continue;
      for (const message of messages) {
        if (message.type !== rt.RTM_NEWNEIGH) continue;
        const neighbor = decodeNeighbor(message);
        if (neighbor?.failed) this.#observer.unreachable(neighbor.link, neighbor.address);
      }
    }
  }
}
