import { createPrivateKey, createPublicKey, randomBytes, sign, verify } from "node:crypto";
import { IDENTITY_PRIMITIVES, sha1 } from "../src/daemon/crypto/primitives.ts";
import { newRsaKey, type RsaKey } from "../src/daemon/crypto/rsa-key.ts";
import type { OwnSet } from "../src/daemon/identity/own-set.ts";
import { ModifierSearch } from "../src/identity/modifier-search.ts";
import { encodeParameters } from "../src/identity/parameters.ts";
import { type Prover, proveLocators } from "../src/identity/prove-locators.ts";
import type { Sec } from "../src/identity/sec.ts";
import {
  type UlidParameters,
  verifyLocators,
  verifyUlid,
} from "../src/identity/verify-locators.ts";
import { literal } from "../src/lab/topology.ts";
import type { Address } from "../src/wire/address.ts";
import { cpuTime } from "./cpu-time.ts";
import { makeSet, prefixesOf, searchStart } from "./identities.ts";

/** Something whose time is measured, once in each round. */
export interface Operation {
  readonly name: string;
  /** Microseconds of processor time that it takes. */
  measure(): number | Promise<number>;
}

/** What the others are compared with. */
export const BARE_SHA1 = "bare SHA-1 of CGA parameters";
export const BARE_VERIFY = "bare RSA-2048 verification";
export const BARE_SIGN = "bare RSA-2048 signature";

/** Microseconds that a quick operation is repeated for. */
const SLICE = 100_000;
const GENERATION = 1;
const OUTSIDE = literal("2001:db8:9:9::1");

/** The operations of a host that has this key. */
export function identityOperations(key: RsaKey): Operation[] {
  const two = makeSet(key, prefixesOf(1, 2));
  const four = makeSet(key, prefixesOf(1, 4));
  return [
    ...bareOperations(key, parametersOf(two)),
    quick("verifyUlid: the parameters are the ULID's", () => ulidParametersOf(two)),
    verification("verifyLocators: 2 of an HBA set", two, two.addresses),
    verification("verifyLocators: 4 of an HBA set", four, four.addresses),
    verification("verifyLocators: 2, one of them by CGA", two, [...first(two), OUTSIDE]),
    proof("proveLocators: 2 of an HBA set", two, two.addresses),
    proof("proveLocators: 2, one of them by CGA (signs)", two, [...first(two), OUTSIDE]),
    generation(key, 0),
    generation(key, 1),
    { name: "a key of 2048 bits", measure: () => timeOnce(() => newRsaKey()) },
  ];
}

function bareOperations(key: RsaKey, parameters: Uint8Array): Operation[] {
  const privateKey = createPrivateKey(key.pem);
  const publicKey = createPublicKey(privateKey);
  const message = randomBytes(64);
  const signature = sign("sha1", message, privateKey);
  return [
    quick(BARE_SHA1, () => sha1(parameters)),
    quick(BARE_VERIFY, () => {
      if (!verify("sha1", message, publicKey, signature)) throw new Error("the signature is ours");
    }),
    quick(BARE_SIGN, () => sign("sha1", message, privateKey)),
  ];
}

function verification(name: string, set: OwnSet, locators: readonly Address[]): Operation {
  const parameters = ulidParametersOf(set);
  const claim = proveLocators(sha1, proverOf(set), GENERATION, locators);
  return quick(name, () => {
    const verified = verifyLocators(IDENTITY_PRIMITIVES, parameters, claim);
    if (!verified.ok) throw new Error(verified.error.message);
  });
}

function proof(name: string, set: OwnSet, locators: readonly Address[]): Operation {
  return quick(name, () => proveLocators(sha1, proverOf(set), GENERATION, locators));
}

/** A set of two addresses for a key that is there already, each time from another modifier on. */
function generation(key: RsaKey, sec: Sec): Operation {
  const prefixes = prefixesOf(1, 2);
  const make = (): OwnSet => makeSet(key, prefixes, sec);
  const name = `a set of 2 addresses, Sec ${sec}`;
  return sec === 0 ? quick(name, make) : { name, measure: () => timeOnce(make) };
}

/** A search for Sec 2 by one thread that is cut short, most likely before it finds something. */
export interface SearchRun {
  readonly attempts: number;
  /** Of processor time. */
  readonly microseconds: number;
}

export function searchForSec2(key: RsaKey, microseconds: number): SearchRun {
  const search = new ModifierSearch(sha1, 2, searchStart(key, prefixesOf(1, 2)));
  const start = cpuTime();
  const elapsed = (): number => cpuTime() - start;
  while (elapsed() < microseconds && search.step(1024) === undefined);
  return { attempts: search.attempts, microseconds: elapsed() };
}

function quick(name: string, run: () => unknown): Operation {
  const measure = (): number => {
    let calls = 0;
    const start = cpuTime();
    do {
      for (let i = 0; i < 8; i++) run();
      calls += 8;
    } while (cpuTime() - start < SLICE);
    return (cpuTime() - start) / calls;
  };
  return { name, measure };
}

async function timeOnce(run: () => unknown): Promise<number> {
  const start = cpuTime();
  await run();
  return cpuTime() - start;
}

function first({ addresses }: OwnSet): Address[] {
  return addresses.slice(0, 1);
}

function proverOf(set: OwnSet): Prover {
  const prover = first(set).map((address) => set.proverOf(address))[0];
  if (prover === undefined) throw new Error("a set has a first address");
  return prover;
}

function parametersOf(set: OwnSet): Uint8Array {
  return encodeParameters(proverOf(set).parameters);
}

function ulidParametersOf(set: OwnSet): UlidParameters {
  const [ulid = OUTSIDE] = set.addresses;
  const verified = verifyUlid(sha1, ulid, parametersOf(set));
  if (!verified.ok) throw new Error(verified.error.message);
  return verified.value;
}
