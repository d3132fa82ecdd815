import type { AddressPair, Mapping } from "../core/output.ts";
import { type Duration, type Instant, seconds } from "../core/time.ts";
import type { TrafficDirection, TrafficSnapshot } from "../core/traffic.ts";
import type { Address } from "../wire/address.ts";
import type { ContextTag } from "../wire/tag.ts";

/**
 * The contract between the core and whatever moves the packets. Both planes meet one
 * compliance suite (test/netns/dataplane-compliance.ts).
 *
 * A plane counts the payload of each context that {@link setContext} named: packets of the
 * ULID pair without the payload extension header, and packets with it that carry the tag.
 * For every other pair of global unicast addresses it counts until the trigger, once.
 */
export interface DataPlane {
  readonly name: "nfqueue" | "ebpf";

  /**
   * Whether packets go on as they were last told to when the process ends without `close`, be it
   * killed. Whoever opens the plane next finds contexts, mappings and traffic records again.
   */
  readonly survives: boolean;

  /**
   * Takes the hooks, and first removes what an earlier run left behind; a plane that survives
   * leaves it in force until `settle`.
   * @throws DataPlaneError naming what is missing and the remedy.
   */
  open(events: DataPlaneEvents): Promise<void>;

  /**
   * All contexts that go on from an earlier run have been set, in the order in which that run
   * had set them: the others are gone. To be called once after `open`. Until then a context that
   * is set again, with its mapping, keeps its traffic record and loses no packet; and what is not
   * set again stays as it was.
   */
  settle(): void;

  /** Removes everything the plane added to the host. Safe to call twice, and unopened. */
  close(): Promise<void>;

  /**
   * Ends without taking away what goes on without this process, for a successor to open. A
   * plane that does not survive closes. Safe to call twice, and unopened.
   */
  release(): Promise<void>;

  /**
   * Sends a control message (from the Shim6 header on) between two addresses.
   * @param encapsulated in UDP; only where the plane was given a port
   */
  sendControl(
    source: Address,
    destination: Address,
    bytes: Uint8Array,
    encapsulated?: boolean,
  ): void;

  /**
   * Inbound: payload with `tag` gets `ulids` back. Starts this context's traffic record, unless
   * it goes on from an earlier run.
   * @param forkedInstance other than 0 for a forked context: payload without a tag is not its
   *   own, and outbound payload only where its mapping selects it. 0 when left out.
   */
  setContext(tag: ContextTag, ulids: AddressPair, forkedInstance?: number): void;
  /** Inbound payload with `tag` is unknown from now on; drops its mapping and record too. */
  clearContext(tag: ContextTag): void;

  /**
   * Outbound payload of `mapping.ulids` leaves on `mapping.locators` with the peer's tag, in UDP
   * where these say so: what
   * `mapping.selector` selects, of several forks by the one set last; without a selector all
   * that no fork selects.
   */
  setMapping(tag: ContextTag, mapping: Mapping): void;
  /** Outbound payload leaves unchanged: the null mapping. */
  clearMapping(tag: ContextTag): void;

  /** The context's next payload, either way, raises `trafficResumed`; those after it do not. */
  awaitTraffic(tag: ContextTag): void;

  /** While on, every inbound payload of the context raises `inboundPayload` at once. */
  watch(tag: ContextTag, on: boolean): void;

  /**
   * While on, the ULP gets no ICMPv6 error about the context's packets of the kinds that
   * `concernsPath` names; `icmpError` is raised for every error all the same.
   */
  withholdErrors(tag: ContextTag, on: boolean): void;

  /** `undefined` when no such context was set. */
  traffic(tag: ContextTag): TrafficSnapshot | undefined;
  markTraffic(tag: ContextTag, direction: TrafficDirection): void;

  /** Counts the ULID pair from zero, so that it can cross the trigger again. */
  armTrigger(ulids: AddressPair): void;

  /** Puts back what others took away of the plane's routes and rules. @returns how much that was */
  repair(): number;

  /**
   * Rehearses the death of an uplink: there the packets of the shim itself and the payload of
   * contexts get lost in silence, both ways; all others pass. It ends with the process, or where the
   * plane survives that {@link DRILL_LEASE} after the last call: whoever wants more calls again.
   * @param uplink `undefined` ends it at once
   * @throws DataPlaneError
   */
  drill(uplink: DrilledUplink | undefined): Promise<void>;

  /** Packets dropped or passed over by the plane, by reason; only ever grows. */
  readonly counters: Readonly<Record<string, number>>;
}

export interface DrilledUplink {
  readonly interface: string;
  /** Interface index. */
  readonly link: number;
}

/** For how long a drill goes on by itself: nobody may be there to end it. */
export const DRILL_LEASE = seconds(2);

/** What a plane reports. `now` is the monotonic clock's time of the packet. */
export interface DataPlaneEvents {
  /** The ULID pair crossed the trigger. Raised once until `armTrigger`. */
  trigger(now: Instant, ulids: AddressPair): void;
  /**
   * A Shim6 control message (P=0) for this host; `bytes` from the Shim6 header on, owned by the
   * callee. `encapsulated`: it came in UDP.
   */
  control(
    now: Instant,
    source: Address,
    destination: Address,
    bytes: Uint8Array,
    encapsulated?: boolean,
  ): void;
  /** Payload whose tag no context has (dropped by the plane). */
  unknownTag(
    now: Instant,
    source: Address,
    destination: Address,
    tag: ContextTag,
    encapsulated?: boolean,
  ): void;
  /** All outbound payload of the context now goes as its mapping was last set or cleared. */
  mappingInForce(tag: ContextTag): void;
  /** The first payload of the context, come or gone, since `awaitTraffic`. */
  trafficResumed(now: Instant, tag: ContextTag): void;
  /** Payload of a watched context; `tagged` when it carried the payload extension header. */
  inboundPayload(now: Instant, tag: ContextTag, tagged: boolean): void;
  /**
   * An ICMPv6 error about something that we sent, as it came in; `bytes` from the ICMPv6 header
   * on.
   */
  icmpError(now: Instant, source: Address, bytes: Uint8Array): void;
  /** The plane cannot go on; the daemon must stop with this error. */
  failed(error: Error): void;
}

/** When deferred context establishment starts (the paper: 50 packets). */
export interface TriggerPolicy {
  /** Packets of the pair, both directions together; 1 or more. */
  readonly packets: number;
  /** Traffic seen for this long triggers too, whatever the count; `undefined` for never. */
  readonly age: Duration | undefined;
}

/**
 * Packets of a pair, both directions together, after which its peer is no stranger any more: one
 * more than a forged SYN makes with all our answers to it.
 */
export const ACQUAINTED_AFTER = 8;

/** The host lacks something that the plane needs. */
export class DataPlaneError extends Error {
  override readonly name = "DataPlaneError";
  /** What to do about it, as a sentence. */
  readonly remedy: string;

  constructor(message: string, remedy: string, options?: ErrorOptions) {
    super(message, options);
    this.remedy = remedy;
  }
}
