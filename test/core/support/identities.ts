import type { LocalLocator } from "../../../src/core/config.ts";
import {
  type AddressSet,
  extendedModifierKey,
  formAddresses,
  hbaParameters,
} from "../../../src/identity/address-set.ts";
import type { SubnetPrefix } from "../../../src/identity/subnet-prefix.ts";
import { parsePrefix } from "../../../src/identity/subnet-prefix.ts";
import { sha1, type TestKey } from "../../identity/support/crypto.ts";
import { seededRandom } from "./random.ts";

function prefixes(texts: readonly string[]): SubnetPrefix[] {
  return texts.map((text) => {
    const prefix = parsePrefix(text);
    if (prefix === undefined) throw new Error(`not a prefix: ${text}`);
    return prefix;
  });
}

/** An HBA set of Sec 0, with a key also CGAs; the same for the same seed. */
export function hbaLocators(seed: number, texts: readonly string[], key?: TestKey): LocalLocator[] {
  const random = seededRandom(seed);
  const modifier = random(16);
  const shared = hbaParameters(
    modifier,
    key === undefined ? extendedModifierKey(random(48)) : { kind: "public-key", der: key.der },
    prefixes(texts),
  );
  return locatorsOf(formAddresses(sha1, 0, shared, prefixes(texts)), key);
}

/** A CGA of Sec 0 on its own. */
export function cgaLocator(seed: number, text: string, key: TestKey): LocalLocator {
  const modifier = seededRandom(seed)(16);
  const shared = { modifier, publicKey: key.der, extensions: [] };
  const [locator] = locatorsOf(formAddresses(sha1, 0, shared, prefixes([text])), key);
  if (locator === undefined) throw new Error("one prefix makes one address");
  return locator;
}

function locatorsOf({ members }: AddressSet, key: TestKey | undefined): LocalLocator[] {
  return members.map(({ address, parameters }) => ({
    address,
    preference: 0,
    operational: true,
    prover: { parameters, sign: key?.sign },
  }));
}
