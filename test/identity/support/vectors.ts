import { readFileSync } from "node:fs";
import { type CgaParameters, decodeParameters } from "../../../src/identity/parameters.ts";
import { parsePrefix, type SubnetPrefix } from "../../../src/identity/subnet-prefix.ts";
import { type Address, parseAddress } from "../../../src/wire/address.ts";

/** test/vectors/hba-cga.json, computed by implementations other than this project. */
interface Vectors {
  readonly keys: Readonly<Record<"1024" | "2048", { readonly pem: string; readonly spki: string }>>;
  readonly hba_sets: readonly HbaVector[];
  readonly cgas: readonly CgaVector[];
  readonly edge_cases: readonly EdgeCase[];
  readonly signatures: readonly SignatureVector[];
}

interface HbaVector {
  readonly id: string;
  readonly sec: 0 | 1;
  readonly prefixes: readonly string[];
  readonly collision_count: number;
  readonly modifier_start: string | null;
  readonly modifier: string;
  /** "raw-bitstring": the Extended Modifier without the RSAPublicKey that RFC 5535 asks for. */
  readonly key_encoding: "raw-bitstring" | "rsapublickey" | "spki";
  readonly extended_modifier: string | null;
  readonly spki: string;
  readonly p_flag: 0 | 1;
  readonly members: readonly { readonly address: string; readonly pds: string }[];
}

interface CgaVector {
  readonly id: string;
  readonly sec: 0 | 1;
  readonly prefix: string;
  readonly collision_count: number;
  readonly modifier_start: string;
  readonly modifier: string;
  readonly spki_and_extensions: string;
  readonly address: string;
  readonly pds: string;
}

interface EdgeCase {
  readonly id: string;
  readonly mode: "hba" | "cga";
  readonly address: string;
  readonly pds: string;
  readonly expect: boolean;
  readonly why: string;
}

interface SignatureVector {
  readonly id: string;
  readonly generation: number;
  readonly locators: readonly { readonly method: number; readonly address: string }[];
  readonly pds: string;
  readonly signed_octets: string;
  readonly rfc_signature: string;
  readonly rfc_locator_list_option: string;
}

const file = new URL("../../vectors/hba-cga.json", import.meta.url);

export const VECTORS = JSON.parse(readFileSync(file, "utf8")) as Vectors;

export function address(text: string): Address {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(`not an address: ${text}`);
  return parsed;
}

export function prefix(text: string): SubnetPrefix {
  const parsed = parsePrefix(text);
  if (parsed === undefined) throw new Error(`not a prefix: ${text}`);
  return parsed;
}

export function parameters(octets: Uint8Array): CgaParameters {
  const decoded = decodeParameters(octets);
  if (!decoded.ok) throw new Error(decoded.error.message);
  return decoded.value;
}

export function member(id: string, index = 0): { readonly address: string; readonly pds: string } {
  const found = VECTORS.hba_sets.find((set) => set.id === id)?.members[index];
  if (found === undefined) throw new Error(`no member ${index} of ${id}`);
  return found;
}
