import { type Address, addressToBytes } from "../wire/address.ts";
import type { ContextTag } from "../wire/tag.ts";
import type { KeyedHash } from "./config.ts";
import { VALIDATOR_SECRET_LIFETIME } from "./defaults.ts";
import type { Random } from "./random.ts";
import { VALIDATOR_MIN_LIFETIME } from "./rfc5533.ts";
import type { Instant } from "./time.ts";

/** What the responder binds an R1 or an R1bis to. */
export type ValidatorInput = EstablishmentInput | RecoveryInput;

/** For R1. The initiator nonce is left out: it may change (RFC 5533 section 7.11). */
export interface EstablishmentInput {
  readonly exchange: "establishment";
  readonly initiatorTag: ContextTag;
  readonly initiatorUlid: Address;
  readonly responderUlid: Address;
  readonly initiatorLocator: Address;
  readonly responderLocator: Address;
  readonly forkedInstance: number;
}

/** For R1bis (RFC 5533 section 7.17.1). */
export interface RecoveryInput {
  readonly exchange: "recovery";
  /** The tag that the packet carried and that we don't know. */
  readonly packetTag: ContextTag;
  readonly initiatorLocator: Address;
  readonly responderLocator: Address;
}

const SECRET_LENGTH = 32;
const PERIODS_PER_SECRET = VALIDATOR_SECRET_LIFETIME / VALIDATOR_MIN_LIFETIME;

/**
 * The responder's only memory between I1 and I2 (RFC 5533 section 7.10.1): a secret, and a
 * nonce that counts periods of VALIDATOR_MIN_LIFETIME. A nonce of this or the last period is
 * recent, so that a validator lives for one to two periods.
 */
export class Validator {
  readonly #hash: KeyedHash;
  readonly #random: Random;
  readonly #nonceOffset: number;
  readonly #secrets = new Map<number, Uint8Array>();

  constructor(hash: KeyedHash, random: Random) {
    this.#hash = hash;
    this.#random = random;
    this.#nonceOffset = random.uint32();
  }

  /** The Responder Nonce and the Responder Validator for an R1. */
  create(now: Instant, input: ValidatorInput): { nonce: number; validator: Uint8Array } {
    const period = currentPeriod(now);
    return { nonce: this.#nonce(period), validator: this.#compute(period, input) };
  }

  /** Whether an I2 answers a recent R1 of ours about the same context. */
  check(now: Instant, nonce: number, validator: Uint8Array, input: ValidatorInput): boolean {
    const current = currentPeriod(now);
    const period = [current, current - 1].find((candidate) => this.#nonce(candidate) === nonce);
    return period !== undefined && equalInConstantTime(this.#compute(period, input), validator);
  }

  #nonce(period: number): number {
    return (this.#nonceOffset + period) >>> 0;
  }

  #compute(period: number, input: ValidatorInput): Uint8Array {
    const fixed = new Uint8Array(4);
    new DataView(fixed.buffer).setUint32(0, this.#nonce(period));
    const secret = this.#secret(Math.floor(period / PERIODS_PER_SECRET));
    return this.#hash(secret, concatenate([fixed, ...inputOctets(input)]));
  }

  /** Secrets are made when first needed; all but this and the last one are forgotten. */
  #secret(generation: number): Uint8Array {
    const known = this.#secrets.get(generation);
    if (known !== undefined) return known;
    const made = this.#random.octets(SECRET_LENGTH);
    this.#secrets.set(generation, made);
    for (const old of this.#secrets.keys()) {
      if (old < generation - 1) this.#secrets.delete(old);
    }
    return made;
  }
}

/** Both kinds have their own length, so that neither passes for the other. */
function inputOctets(input: ValidatorInput): Uint8Array[] {
  const locators = [input.initiatorLocator, input.responderLocator].map(addressToBytes);
  if (input.exchange === "recovery") return [tagOctets(input.packetTag), ...locators];
  const ulids = [input.initiatorUlid, input.responderUlid].map(addressToBytes);
  const fork = new Uint8Array(4);
  new DataView(fork.buffer).setUint32(0, input.forkedInstance);
  return [tagOctets(input.initiatorTag), fork, ...ulids, ...locators];
}

function tagOctets(tag: ContextTag): Uint8Array {
  const octets = new Uint8Array(8);
  new DataView(octets.buffer).setBigUint64(0, BigInt(tag));
  return octets;
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

function currentPeriod(now: Instant): number {
  return Math.floor(now / VALIDATOR_MIN_LIFETIME);
}

/** Takes the same time wherever the first difference stands. */
function equalInConstantTime(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (const [i, octet] of a.entries()) difference |= octet ^ (b[i] ?? 0);
  return difference === 0;
}
