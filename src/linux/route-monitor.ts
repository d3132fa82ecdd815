import { NetlinkSocket } from "./netlink-socket.ts";
import { type NetworkChange, NetworkTable } from "./network-table.ts";
import { type ReadableWatch, watchReadable } from "./readable.ts";
import * as rt from "./rtnetlink-constants.ts";
import { dumpNetwork } from "./rtnetlink-dump.ts";

const GROUPS = [
  rt.RTNLGRP_LINK,
  rt.RTNLGRP_IPV6_IFADDR,
  rt.RTNLGRP_IPV6_ROUTE,
  rt.RTNLGRP_IPV6_RULE,
];
const ATTEMPT = "follow the kernel's network tables";
const BUFFER = 1024 * 1024;
const DATAGRAMS_PER_WAKE_UP = 256;
const READ_ATTEMPTS = 10;

/** What {@link RouteMonitor} tells. */
export interface RouteObserver {
  /** The table has changed; several changes come together when they happened together. */
  changed(changes: readonly NetworkChange[]): void;
  /** The network can be followed no longer. */
  failed(error: Error): void;
}

/**
 * Follows links and IPv6 addresses, routes and rules of the network namespace it was made in.
 * It reads all tables once and then listens; when the kernel had to drop notifications it reads
 * all anew and tells the difference, so that {@link table} stays right.
 *
 * A link that loses its carrier keeps its addresses and routes, without any notification about
 * them: look at `Link.carrier` too.
 */
export class RouteMonitor {
  readonly #observer: RouteObserver;
  readonly #notifications: NetlinkSocket;
  readonly #requests: NetlinkSocket;
  readonly #watch: ReadableWatch;
  #table = new NetworkTable();
  #open = true;

  /**
   * Has read all tables when it returns.
   * @throws SystemError
   */
  constructor(observer: RouteObserver) {
    this.#observer = observer;
    this.#notifications = new NetlinkSocket(rt.NETLINK_ROUTE);
    this.#requests = new NetlinkSocket(rt.NETLINK_ROUTE);
    try {
      this.#notifications.growBuffers(BUFFER, BUFFER);
      // First listen, then read: what happens in between is seen twice rather than not at all.
      for (const group of GROUPS) this.#notifications.join(group);
      this.#table = this.#read();
    } catch (error) {
      this.#closeSockets();
      throw error;
    }
    const { fd } = this.#notifications;
    this.#watch = watchReadable(
      fd,
      () => this.#drain(),
      (error) => this.#fail(error),
    );
  }

  /** As of the last change. */
  get table(): Pick<NetworkTable, "links" | "addresses" | "routes" | "rules"> {
    return this.#table;
  }

  /** Safe to call twice. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#watch.close();
    this.#closeSockets();
  }

  #drain(): void {
    const changes: NetworkChange[] = [];
    for (let i = 0; i < DATAGRAMS_PER_WAKE_UP; i++) {
      const outcome = this.#applyNext(this.#table, changes);
      if (outcome === "empty") break;
      if (outcome === "resync") changes.push(...this.#resync());
    }
    if (changes.length > 0) this.#observer.changed(changes);
  }

  /** Takes in the next datagram and adds what it changed to `changes`. */
  #applyNext(table: NetworkTable, changes: NetworkChange[]): "applied" | "resync" | "empty" {
    const messages = this.#notifications.receive(ATTEMPT);
    if (messages === undefined) return "empty";
    if (messages === "overrun") return "resync";
    for (const message of messages) {
      const applied = table.apply(message);
      if (applied === "resync") return "resync";
      changes.push(...applied);
    }
    return "applied";
  }

  #resync(): NetworkChange[] {
    const before = this.#table;
    this.#table = this.#read();
    return this.#table.changesSince(before);
  }

  /** Reads all tables, with the notifications that came in meanwhile applied. */
  #read(): NetworkTable {
    for (let i = 0; i < READ_ATTEMPTS; i++) {
      this.#discard();
      const table = dumpNetwork(this.#requests);
      if (this.#catchUp(table)) return table;
    }
    throw new Error(`cannot ${ATTEMPT}: they change faster than they can be read`);
  }

  /**
   * What waits is older than the table that will be read, and with gaps: an entry whose deletion
   * was lost would come back.
   */
  #discard(): void {
    while (this.#notifications.receive(ATTEMPT) !== undefined);
  }

  /** False when notifications were lost again. */
  #catchUp(table: NetworkTable): boolean {
    for (;;) {
      const outcome = this.#applyNext(table, []);
      if (outcome !== "applied") return outcome === "empty";
    }
  }

  #fail(error: Error): void {
    this.close();
    this.#observer.failed(error);
  }

  #closeSockets(): void {
    this.#notifications.close();
    this.#requests.close();
  }
}
