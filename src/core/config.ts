import type { IdentityPrimitives } from "../identity/primitives.ts";
import type { Prover } from "../identity/prove-locators.ts";
import type { Address } from "../wire/address.ts";
import type { Duration } from "./time.ts";

/** Random octets; injected, so that a run replays from its seed. Must be unpredictable in use. */
export type RandomSource = (length: number) => Uint8Array;

/** A keyed one-way function of at least 128 bits, such as HMAC-SHA-256; injected. */
export type KeyedHash = (key: Uint8Array, data: Uint8Array) => Uint8Array;

/**
 * How peers' locators are proven. "verified": by HBA or CGA only (RFC 5533 section 7.2).
 * "unverified": believed as in the paper, marked with verification method 201 (experimental),
 * accepted only where both ends say so.
 */
export type SecurityMode = "verified" | "unverified";

/**
 * How a silent failure is noticed. "rfc": by the Send Timeout alone (RFC 5534). "adaptive":
 * sooner, too, by answers that are later than they have been; see suspicion.ts.
 */
export type Detection = "adaptive" | "rfc";

/** What a host can set; our defaults are in defaults.ts, the standards' in rfc5533.ts, rfc5534.ts. */
export interface EndpointConfig {
  readonly security: SecurityMode;
  /** RFC 5534 section 7: 10 to 100 seconds recommended. Announced to the peer in whole seconds. */
  readonly sendTimeout: Duration;
  /** "rfc" where missing. */
  readonly detect?: Detection;
  /**
   * What peers are told as Keepalive Timeout where that is shorter than the Send Timeout, so that
   * they answer one-way payload sooner. Whole seconds.
   */
  readonly keepaliveTimeout?: Duration | undefined;
  /** A context without payload for this long is removed; at least 5 minutes (RFC 5533 section 9). */
  readonly contextIdleTimeout: Duration;
  /** Applications get the ICMPv6 errors that the shim acts on, too (RFC 5533 section 8). */
  readonly deliverAllIcmp?: boolean;
  /**
   * Contexts go back to a better pair by themselves, as locator preferences say. Without it they
   * only go to one that somebody prefers.
   */
  readonly failBack?: FailBackPolicy | undefined;
  /** Shim6 may go in UDP where the peer takes it (docs/encapsulation.md); without it never. */
  readonly encapsulation?: Encapsulation | undefined;
  /** Contexts at most, those under establishment included. */
  readonly maxContexts: number;
  /** Contexts at most with peers whose ULIDs are in one /64; without it no limit of their own. */
  readonly maxContextsPerPrefix?: number;
  readonly random: RandomSource;
  readonly keyedHash: KeyedHash;
  /** For HBA and CGA; without it no locator can be proven, and none believed by proof. */
  readonly identity?: IdentityPrimitives;
}

export interface Encapsulation {
  /** Of UDP, at both ends: 1024 .. 65535, as the daemon has no privilege for others. */
  readonly port: number;
}

/** When a context returns to a better pair than the one it uses. */
export interface FailBackPolicy {
  /** A better pair must have answered probes for this long. */
  readonly hold: Duration;
  /** The hold time doubles with each time that the pair fails again, up to this. */
  readonly maxHold: Duration;
}

/** An address of this host that it offers as a locator (the paper's table 2). */
export interface LocalLocator {
  readonly address: Address;
  /** The paper's `pref`: the lower, the earlier it is tried. 0 .. 255. */
  readonly preference: number;
  /**
   * Its share of the contexts among locators of one preference (RFC 5533 section 5.15.3), as
   * the Weight of DNS SRV: 0 .. 255, without one 0.
   */
  readonly weight?: number;
  /** Less stable than the others, as the address of a visited network. */
  readonly transient?: boolean;
  /** Where the address is a CGA or of an HBA set: proves the locators of contexts whose ULID it is. */
  readonly prover?: Prover;
  /** False while its interface or address is down, tentative or gone. */
  readonly operational: boolean;
}
