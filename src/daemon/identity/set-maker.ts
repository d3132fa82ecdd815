import type { RandomSource } from "../../core/config.ts";
import { hbaParameters } from "../../identity/address-set.ts";
import { MODIFIER_LENGTH, type SharedParameters } from "../../identity/parameters.ts";
import type { Sec } from "../../identity/sec.ts";
import type { SubnetPrefix } from "../../identity/subnet-prefix.ts";
import type { IdentityConfig } from "../config/config.ts";
import type { RsaKey } from "../crypto/rsa-key.ts";
import type { IdentityFiles } from "./identity-files.ts";
import { OwnSet } from "./own-set.ts";

/** The dear steps, which run in other threads. */
export interface SetCrypto {
  readonly random: RandomSource;
  newKey(bits: number): Promise<RsaKey>;
  findModifier(
    sec: Sec,
    start: SharedParameters,
    options: { readonly signal: AbortSignal },
  ): Promise<Uint8Array>;
}

/** Makes a set for these prefixes, and the host's key where there is none yet. */
export async function makeSet(
  prefixes: readonly SubnetPrefix[],
  { sec, keyBits }: IdentityConfig,
  files: IdentityFiles,
  crypto: SetCrypto,
  signal: AbortSignal,
): Promise<{ readonly key: RsaKey; readonly set: OwnSet }> {
  const key = files.readKey() ?? (await newStoredKey(keyBits, files, crypto));
  const der = key.publicKey;
  const start = hbaParameters(
    crypto.random(MODIFIER_LENGTH),
    { kind: "public-key", der },
    prefixes,
  );
  const modifier = await crypto.findModifier(sec, start, { signal });
  return { key, set: new OwnSet({ sec, prefixes, modifier, collisionCount: 0 }, key) };
}

async function newStoredKey(
  bits: number,
  files: IdentityFiles,
  crypto: SetCrypto,
): Promise<RsaKey> {
  const key = await crypto.newKey(bits);
  files.writeKey(key);
  return key;
}
