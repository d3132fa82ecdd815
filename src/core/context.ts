import type { Address } from "../wire/address.ts";
import type { ContextTag } from "../wire/tag.ts";
import type { LocalLocator } from "./config.ts";
import type { FlowSelector } from "./flow-selector.ts";
import { nothingTold, type PeerLocator, type PeerLocatorSet } from "./locator-set.ts";
import type { PendingUpdate } from "./locator-updates.ts";
import type { AddressPair, Deadline } from "./output.ts";
import { PathLog } from "./path-log.ts";
import { ProbeAllowance } from "./probe-allowance.ts";
import type { Reachability } from "./reachability.ts";
import { SEND_TIMEOUT } from "./rfc5534.ts";
import type { Survey } from "./survey.ts";
import type { Duration, Instant } from "./time.ts";
import type { ContextState, Pin } from "./view.ts";

/** What R1 gave us and I2 gives back. */
export interface ResponderProof {
  readonly nonce: number;
  readonly validator: Uint8Array;
}

/** The start of a context: what RFC 5533 section 6.2 stores in I1-SENT. */
export interface ContextSeed {
  readonly tag: ContextTag;
  readonly ulids: AddressPair;
  readonly forkedInstance: number;
  readonly initiator: boolean;
  readonly initiatorNonce: number;
  readonly generation: number;
  readonly offer: readonly LocalLocator[];
  /** As the peer will be told. */
  readonly sendTimeout: Duration;
  readonly sendTimerFactor: number;
  readonly createdAt: Instant;
}

/** One row of the context table (the paper's table 1; RFC 5533 section 6.1). */
export class Context {
  readonly tag: ContextTag;
  readonly ulids: AddressPair;
  readonly forkedInstance: number;
  readonly initiator: boolean;
  /** Of the exchange under way; changed by the context table, which finds contexts by it. */
  initiatorNonce: number;
  /** Generation of the locator list that the offer went out with. */
  generation: number;
  readonly createdAt: Instant;

  state: ContextState = "IDLE";
  /** Ls(local): what the peer has been told and has acknowledged. */
  offer: readonly LocalLocator[];
  /** Ls(peer), and what goes with it. */
  peer: PeerLocatorSet;
  /** Nonces of the peer's last Update Requests that were taken, newest first. */
  requestsTaken: readonly number[] = [];
  /** What the peer is being told; until it acknowledges, the old offer holds beside it. */
  update: PendingUpdate | undefined;
  /** Both ends take Shim6 in UDP: each locator pair is there in two forms. */
  mayEncapsulate = false;
  /** Peer locators at which the peer has answered a probe. */
  readonly reachable = new Set<Address>();
  /** For probes that nothing of our own asks for. */
  readonly allowance = new ProbeAllowance();
  /** What probes and failures have shown of each locator pair. */
  readonly paths = new PathLog();
  /** Lp(local) and Lp(peer). */
  locators: AddressPair;
  /** The pair to use whenever it works; `undefined` for whichever does. */
  preferred: AddressPair | undefined;
  /** No better pair takes it off the preferred one. */
  pin: Pin | undefined;
  /** Which packets a forked context carries; `undefined` for none, as where the peer forked. */
  selector: FlowSelector | undefined;
  /** CT(peer); set by the context table, which finds contexts by it. */
  peerTag: ContextTag | undefined;
  /** Where the exchange under way runs: the ULIDs, or where the peer asked for it. */
  exchangePair: AddressPair;
  /** Where the next I1s go, in turn, once I2bis has had no answer; `exchangePair` when empty. */
  pairsToAsk: readonly AddressPair[] = [];
  /** Our Send Timeout as the peer has been told, and has acknowledged. */
  sendTimeout: Duration;
  /** Our own timer is longer by this factor (RFC 5534 section 4.1). */
  readonly sendTimerFactor: number;
  keepaliveTimeout: Duration = SEND_TIMEOUT;
  proof: ResponderProof | undefined;

  i1Sent = 0;
  /** The peer's own I1 has come in UDP: so that is the form of ours. */
  passesInUdp = false;
  i2Sent = 0;
  /** When I2 or I2bis of the exchange under way left last. */
  secondSentAt: Instant | undefined;
  /** When an R2 last answered an I1. */
  i1AnsweredAt: Instant | undefined;
  retransmitAt: Instant | undefined;
  holdUntil: Instant | undefined;
  /** The data plane knows the context. */
  installed = false;
  /** Its place among all that the data plane was told of. */
  order = 0;

  establishedAt: Instant | undefined;
  lastSwitchAt: Instant | undefined;
  switches = 0;
  /** Set while ESTABLISHED: only then REAP runs. */
  reachability: Reachability | undefined;
  /** Somebody wants to know which pairs work. */
  survey: Survey | undefined;

  constructor(seed: ContextSeed) {
    this.tag = seed.tag;
    this.ulids = seed.ulids;
    this.forkedInstance = seed.forkedInstance;
    this.initiator = seed.initiator;
    this.initiatorNonce = seed.initiatorNonce;
    this.generation = seed.generation;
    this.createdAt = seed.createdAt;
    this.offer = seed.offer;
    this.sendTimeout = seed.sendTimeout;
    this.sendTimerFactor = seed.sendTimerFactor;
    this.locators = seed.ulids;
    this.exchangePair = seed.ulids;
    this.peer = nothingTold(seed.ulids.peer);
  }

  get peerLocators(): readonly PeerLocator[] {
    return this.peer.locators;
  }

  /** Whether the pair lies in Ls(local) x Ls(peer). */
  hasPair({ local, peer }: AddressPair): boolean {
    const told = [...this.offer, ...(this.update?.offer ?? [])];
    return (
      told.some(({ address }) => address === local) &&
      this.peerLocators.some(({ address }) => address === peer)
    );
  }

  /**
   * Whether the peer has answered there (or is there by definition, at its ULID), so that packets
   * harm nobody else: a peer may claim the address of a third party.
   */
  isProvenAt(peer: Address): boolean {
    return this.reachable.has(peer) || peer === this.locators.peer;
  }

  /** When it was last of use, as far as the last reading of its traffic tells. */
  get lastUsed(): Instant {
    return this.reachability?.lastUsed() ?? this.createdAt;
  }

  /** The exchange is over: nothing of it waits any more. */
  endExchange(): void {
    this.proof = undefined;
    this.i1Sent = 0;
    this.passesInUdp = false;
    this.i2Sent = 0;
    this.secondSentAt = undefined;
    this.pairsToAsk = [];
    this.retransmitAt = undefined;
    this.holdUntil = undefined;
  }

  get deadline(): Deadline | undefined {
    const { tag } = this;
    if (this.holdUntil !== undefined) return { at: this.holdUntil, reason: "hold-down", tag };
    if (this.retransmitAt !== undefined) {
      const reason = this.state === "I1-SENT" ? "i1-retransmission" : "i2-retransmission";
      return { at: this.retransmitAt, reason, tag };
    }
    const { reachability, update } = this;
    if (update === undefined) return reachability?.deadline;
    const at = update.retransmitAt;
    if (reachability?.deadline !== undefined && reachability.deadline.at < at) {
      return reachability.deadline;
    }
    return { at, reason: "update-retransmission", tag };
  }
}
