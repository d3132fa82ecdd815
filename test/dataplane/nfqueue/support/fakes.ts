import type { AddressPair, Mapping } from "../../../../src/core/output.ts";
import { instant } from "../../../../src/core/time.ts";
import type { DataPlaneEvents } from "../../../../src/dataplane/dataplane.ts";
import type { PlaneSystem } from "../../../../src/dataplane/nfqueue/system.ts";
import type { LogHandler } from "../../../../src/linux/nflog.ts";
import {
  type BatchHandler,
  type QueuedPacket,
  RESERVED_BEFORE,
  type Verdicts,
} from "../../../../src/linux/queue.ts";
import type { OutgoingMessage, ReceivedMessage } from "../../../../src/linux/raw-socket.ts";
import { type Address, addressToBytes, parseAddress } from "../../../../src/wire/address.ts";
import { type ContextTag, contextTag } from "../../../../src/wire/tag.ts";
import { ipv6, upperLayer } from "../../../wire/support/packets.ts";

export const HOOK_PREROUTING = 0;
export const HOOK_LOCAL_IN = 1;
export const HOOK_LOCAL_OUT = 3;

export function address(text: string): Address {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(`no address: ${text}`);
  return parsed;
}

export const ULIDS: AddressPair = {
  local: address("2001:db8:1::a"),
  peer: address("2001:db8:1::b"),
};
export const LOCATORS: AddressPair = {
  local: address("2001:db8:2::a"),
  peer: address("2001:db8:2::b"),
};
export const TAG: ContextTag = contextTag(0x1234_5678_9abc);
export const PEER_TAG: ContextTag = contextTag(0x7edc_ba98_7654);
export const MAPPING: Mapping = { ulids: ULIDS, locators: LOCATORS, peerTag: PEER_TAG };

/** A packet of `length` octets in all between two addresses. */
export function packetOf(
  source: Address,
  destination: Address,
  protocol: number,
  length: number,
): Uint8Array {
  const body = Uint8Array.from({ length: length - 40 }, (_, i) => i & 0xff);
  return ipv6(addressToBytes(source), addressToBytes(destination), [upperLayer(protocol, body)]);
}

export function reversed({ local, peer }: AddressPair): AddressPair {
  return { local: peer, peer: local };
}

export type Verdict =
  | { readonly verdict: "accept" | "drop"; readonly mark?: number }
  | { readonly verdict: "replace"; readonly packet: Uint8Array; readonly mark: number | undefined };

/** A queue made of arrays: hands packets to a handler and gives back the verdicts in order. */
export function verdictsOn(
  handle: BatchHandler,
  packets: readonly (Pick<QueuedPacket, "hook" | "payload"> & Partial<QueuedPacket>)[],
): Verdict[] {
  const given = new Map<number, Verdict>();
  const give = (id: number, verdict: Verdict): void => {
    if (given.has(id)) throw new Error(`packet ${id} has its verdict already`);
    given.set(id, verdict);
  };
  const room = new Uint8Array(RESERVED_BEFORE + 65_536);
  let reserved = room.length;
  const verdicts: Verdicts = {
    accept: (id, mark) => give(id, { verdict: "accept", ...(mark === undefined ? {} : { mark }) }),
    drop: (id) => give(id, { verdict: "drop" }),
    replace: (id, packet, mark) => give(id, { verdict: "replace", packet: packet.slice(), mark }),
    room,
    // As little room as was asked for: whoever writes more finds none.
    reserve: (length) => {
      reserved = room.length - length;
      return reserved;
    },
    replaceReserved: (id, length, mark) =>
      give(id, { verdict: "replace", packet: room.slice(reserved, reserved + length), mark }),
  };
  const queued = packets.map((packet, id) => ({
    id,
    inputInterface: 0,
    outputInterface: 0,
    mark: 0,
    length: packet.payload.length,
    ...packet,
  }));
  handle(queued, verdicts);
  return queued.map(({ id }) => {
    const verdict = given.get(id);
    if (verdict === undefined) throw new Error(`packet ${id} has no verdict`);
    return verdict;
  });
}

/** Keeps each event as its name and arguments, without the time. */
export class EventLog implements DataPlaneEvents {
  readonly events: unknown[][] = [];
  readonly inForce: ContextTag[] = [];

  trigger(_now: number, ...rest: unknown[]): void {
    this.events.push(["trigger", ...rest]);
  }

  control(_now: number, ...rest: unknown[]): void {
    this.events.push(["control", ...rest]);
  }

  unknownTag(_now: number, ...rest: unknown[]): void {
    this.events.push(["unknownTag", ...rest]);
  }

  trafficResumed(_now: number, ...rest: unknown[]): void {
    this.events.push(["trafficResumed", ...rest]);
  }

  inboundPayload(_now: number, ...rest: unknown[]): void {
    this.events.push(["inboundPayload", ...rest]);
  }

  icmpError(_now: number, ...rest: unknown[]): void {
    this.events.push(["icmpError", ...rest]);
  }

  mappingInForce(tag: ContextTag): void {
    this.inForce.push(tag);
  }

  failed(error: Error): void {
    this.events.push(["failed", error]);
  }
}

/** A host that writes down what the plane does to it. `handlers` bring packets in. */
export class FakeHost {
  /** In order: what was opened, closed, run and sent. */
  readonly log: string[] = [];
  readonly sent: OutgoingMessage[] = [];
  readonly acquaintances: Address[] = [];
  readonly handlers: {
    observe?: LogHandler;
    rewrite?: BatchHandler;
    control?: (message: ReceivedMessage) => void;
    icmp?: (message: ReceivedMessage) => void;
  } = {};
  /** Throws for a resource or command to fail. */
  fail: (what: string) => void = () => undefined;
  pathMtu = 1500;
  overruns = 0;
  time = 1000;

  readonly system: PlaneSystem = {
    now: () => instant(this.time),
    openQueue: (options, onBatch) => {
      this.#open(`queue ${options.number}`);
      this.handlers.rewrite = onBatch;
      const overruns = (): number => this.overruns;
      return {
        options,
        get overruns() {
          return overruns();
        },
        close: () => this.#note("close queue"),
      };
    },
    openLog: (options, onBatch) => {
      this.#open(`log ${options.group}`);
      this.handlers.observe = onBatch;
      return { lost: 0, close: () => this.#note("close log") };
    },
    openShim6Socket: (onMessage) => {
      this.#open("shim6");
      this.handlers.control = (message) => onMessage(message, false);
      return {
        overruns: { context: 4, acquaintances: 5, strangers: 6 },
        acquaint: (address) => this.acquaintances.push(address),
        send: (message) => this.#send(message),
        close: () => this.#note("close shim6"),
      };
    },
    openIcmp6Socket: (onMessage) => {
      this.#open("icmp6");
      this.handlers.icmp = onMessage;
      return { send: (message) => this.#send(message), close: () => this.#note("close icmp6") };
    },
    openRoutes: () => {
      this.#open("routes");
      return {
        open: () => this.#note("route table"),
        find: ({ local }) => {
          this.fail(`find ${local}`);
          return { link: this.#linkOf(local), gateway: undefined, mtu: this.pathMtu };
        },
        set: (ulids, { link }) => this.#open(`route ${ulids.peer} by ${this.#locators[link]}`),
        clear: (ulids) => this.#open(`no route ${ulids.peer}`),
        repair: () => 0,
        close: () => this.#note("close routes"),
      };
    },
    run: ([command = ""], input) => {
      // Not before the caller goes on, as with a real process.
      return Promise.resolve().then(() => {
        this.#open(`${command}: ${input.trim().replace(/\n/g, "; ")}`);
        return "";
      });
    },
  };

  readonly #locators: Address[] = [];

  /** Each local locator is on a link of its own. */
  #linkOf(locator: Address): number {
    const index = this.#locators.indexOf(locator);
    return index < 0 ? this.#locators.push(locator) - 1 : index;
  }

  #open(what: string): void {
    this.fail(what);
    this.#note(what);
  }

  #note(what: string): void {
    this.log.push(what);
  }

  #send(message: OutgoingMessage): void {
    this.fail("send");
    this.sent.push({ ...message, bytes: message.bytes.slice() });
  }
}
