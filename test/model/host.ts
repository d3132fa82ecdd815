import type { LocalLocator } from "../../src/core/config.ts";
import { Endpoint } from "../../src/core/endpoint.ts";
import { type AddressPair, type Mapping, type Output, pairKey } from "../../src/core/output.ts";
import { type Instant, instant, minutes, seconds } from "../../src/core/time.ts";
import type { Address } from "../../src/wire/address.ts";
import type { ControlMessage } from "../../src/wire/message.ts";
import type { ContextTag } from "../../src/wire/tag.ts";
import { ModelPlane } from "./plane.ts";

/**
 * A control message on its way, or payload that was sent between `ulids` of its sender. `life`
 * is that of the tag inside: one that is drawn again is not the tag that it was.
 */
export interface Packet {
  readonly source: Address;
  readonly destination: Address;
  readonly life: string | undefined;
  readonly content:
    | { readonly bytes: Uint8Array; readonly message: ControlMessage }
    | { readonly tag: ContextTag | undefined; readonly ulids: AddressPair };
}

/** A rule that a host breaks, to show that the search finds it. */
export type Defect = "ignores-r1bis" | "keeps-mapping" | "delivers-unrestored";

const START = instant(1_000_000);
/** Tags that a host draws, in this order, from its start on. */
const TAGS = 3;
/** Of the injected nonces: whose and of which incarnation. */
const HOST_SHIFT = 2 ** 28;
const INCARNATION_SHIFT = 2 ** 20;

/** An endpoint and its data plane, with a clock of its own, so that any timer may fire first. */
export class ModelHost {
  readonly name: "A" | "B";
  readonly incarnation: number;
  readonly endpoint: Endpoint;
  readonly plane = new ModelPlane();
  /** The last message of each type: what views don't show of an exchange or an exploration. */
  readonly lastSent = new Map<ControlMessage["type"], ControlMessage>();
  /** What left since it was last taken. */
  readonly outbox: Packet[] = [];
  /** Payload that came out between other ULIDs than it was sent between. */
  misdelivered: string | undefined;
  /** Each time that a tag is put to use, it begins another life. */
  readonly #lives = new Map<ContextTag, string>();
  /** The lives of the peer's tags, as its last messages of an exchange had them. */
  readonly #peerLives = new Map<ContextTag, string | undefined>();
  #births = 0;
  readonly #defect: Defect | undefined;
  readonly #locators: readonly Address[];
  secondLocatorUp = true;
  clock: Instant = START;

  constructor(
    name: "A" | "B",
    incarnation: number,
    locators: readonly Address[],
    defect: Defect | undefined,
  ) {
    this.name = name;
    this.incarnation = incarnation;
    this.#defect = defect;
    this.#locators = locators;
    this.endpoint = new Endpoint({
      security: "unverified",
      sendTimeout: seconds(15),
      contextIdleTimeout: minutes(5),
      maxContexts: TAGS,
      random: smallRandom(this.nonceBase),
      // Injective, and readable in a fingerprint.
      keyedHash: (key, data) => Uint8Array.of(...key.subarray(0, 4), ...data),
    });
    this.#tellLocators();
  }

  /** Nonces of this incarnation count from here; the first one starts its responder nonces. */
  get nonceBase(): number {
    return (this.name === "A" ? 1 : 2) * HOST_SHIFT + this.incarnation * INCARNATION_SHIFT;
  }

  command(run: (endpoint: Endpoint, now: Instant) => void): void {
    run(this.endpoint, this.clock);
    this.#drain();
  }

  toggleLocator(): void {
    this.secondLocatorUp = !this.secondLocatorUp;
    this.#tellLocators();
  }

  #tellLocators(): void {
    const locators = this.#locators.map((address, i): LocalLocator => {
      return { address, preference: 0, operational: i === 0 || this.secondLocatorUp };
    });
    this.command((endpoint, now) => endpoint.handleLocalLocators(now, locators));
  }

  fireTimer(): void {
    const deadline = this.endpoint.pollTimeout();
    if (deadline === undefined) return;
    if (deadline.at > this.clock) this.clock = deadline.at;
    this.command((endpoint, now) => endpoint.handleTimeout(now));
  }

  sendPayload(ulids: AddressPair): void {
    const context = this.plane.byUlids(ulids);
    context?.traffic.out(this.clock, 100);
    const { local, peer } = context?.mapping?.locators ?? ulids;
    const tag = context?.mapping?.peerTag;
    const life = tag === undefined ? undefined : this.#peerLives.get(tag);
    this.outbox.push({ source: local, destination: peer, life, content: { tag, ulids } });
  }

  receive({ source, destination, life, content }: Packet): void {
    const arrival = { local: destination, peer: source };
    if ("ulids" in content) return this.#receivePayload(arrival, content, life);
    const { bytes, message } = content;
    if (this.#defect === "ignores-r1bis" && message.type === "R1bis") return;
    if ("responderContextTag" in message) this.#peerLives.set(message.responderContextTag, life);
    if ("initiatorContextTag" in message) this.#peerLives.set(message.initiatorContextTag, life);
    this.command((endpoint, now) => endpoint.handleControl(now, source, destination, bytes));
  }

  #receivePayload(
    arrival: AddressPair,
    { tag, ulids }: { tag: ContextTag | undefined; ulids: AddressPair },
    life: string | undefined,
  ): void {
    const { local, peer } = arrival;
    const { plane } = this;
    const context = tag === undefined ? plane.byUlids(arrival) : plane.byTag(tag);
    if (tag !== undefined && context === undefined) {
      return this.command((endpoint, now) => endpoint.handleUnknownTag(now, peer, local, tag));
    }
    const restores = tag !== undefined && this.#defect !== "delivers-unrestored";
    const given = restores ? (context?.ulids ?? arrival) : arrival;
    const right = given.local === ulids.peer && given.peer === ulids.local;
    // A tag drawn again in another life can't be told from the old one: 47 bits make it rare.
    const sameLife = tag === undefined || this.#lives.get(tag) === life;
    if (!right && sameLife) this.misdelivered = `${pairKey(given)} gets ${pairKey(ulids)}`;
    if (context === undefined) return;
    context.traffic.in(this.clock, 100);
    if (!context.watched) return;
    this.command((endpoint, now) =>
      endpoint.handleInboundPayload(now, context.tag, tag !== undefined),
    );
  }

  #drain(): void {
    for (let output = this.endpoint.poll(); output !== undefined; output = this.endpoint.poll()) {
      this.#carryOut(output);
    }
  }

  #carryOut(output: Output): void {
    switch (output.type) {
      case "send":
        return this.#send(output);
      case "set-context":
        this.#births += 1;
        this.#lives.set(output.tag, `${this.name}${this.incarnation}.${this.#births}`);
        return this.plane.set(output.tag, output.ulids);
      case "clear-context":
        return this.plane.clear(output.tag);
      case "set-mapping":
        return this.#map(output.tag, output.mapping);
      case "clear-mapping":
        return this.#map(output.tag, undefined);
      case "watch": {
        const context = this.plane.byTag(output.tag);
        if (context !== undefined) context.watched = output.on;
        return;
      }
      case "withhold-errors":
        return;
      case "read-traffic": {
        const traffic = this.plane.byTag(output.tag)?.traffic.snapshot;
        if (traffic) this.endpoint.handleTraffic(this.clock, output.tag, traffic);
        return;
      }
      case "await-traffic":
        return this.plane
          .byTag(output.tag)
          ?.traffic.await(() =>
            this.command((endpoint, now) => endpoint.handleTrafficResumed(now, output.tag)),
          );
      case "mark-traffic":
        return this.plane.byTag(output.tag)?.traffic.mark(output.direction);
      case "arm-trigger":
      case "save-context":
      case "surveyed":
      case "event":
        return;
    }
  }

  #send({ source, destination, bytes, message, tag }: Output & { type: "send" }): void {
    this.lastSent.set(message.type, message);
    const life = tag === undefined ? undefined : this.#lives.get(tag);
    this.outbox.push({ source, destination, life, content: { bytes, message } });
  }

  #map(tag: ContextTag, mapping: Mapping | undefined): void {
    const context = this.plane.byTag(tag);
    if (context === undefined || this.#defect === "keeps-mapping") {
      if (context !== undefined) context.mapping ??= mapping;
      return;
    }
    context.mapping = mapping;
  }
}

/**
 * RFC 5533 appendix C: few tags, so that they meet again, but nonces that stay distinguishable.
 * What varies timers is drawn as a nonce is, and so stays nearly constant.
 */
function smallRandom(base: number): (length: number) => Uint8Array {
  let tags = 0;
  let nonces = 0;
  return (length) => {
    const octets = new Uint8Array(length);
    if (length === 6) octets[5] = 1 + (tags++ % TAGS);
    else new DataView(octets.buffer).setUint32(0, base + (length === 4 ? nonces++ : 0));
    return octets;
  };
}
