import { readFileSync } from "node:fs";
import { fromHex } from "../../../src/wire/hex.ts";

/** A message of test/vectors/messages.json, made by a generator other than this project. */
export interface Vector {
  readonly name: string;
  readonly src: string;
  readonly dst: string;
  /** Octets of the whole IPv6 packet. */
  readonly length: number;
  /** Hexadecimal digits from the Shim6 header on. */
  readonly shim6: string;
}

const file = new URL("../../vectors/messages.json", import.meta.url);

export const VECTORS = (JSON.parse(readFileSync(file, "utf8")) as { messages: Vector[] }).messages;

export function vector(name: string): Vector {
  const found = VECTORS.find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`no vector ${name}`);
  return found;
}

export function octets(hex: string): Uint8Array {
  const bytes = fromHex(hex);
  if (bytes === undefined) throw new Error(`not hexadecimal: ${hex}`);
  return bytes;
}
