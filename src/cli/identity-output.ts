import { type Reply, SCHEMA_VERSION } from "../daemon/api.ts";
import type { AddressSet } from "../identity/address-set.ts";
import {
  type CgaParameters,
  decodeParameters,
  encodeParameters,
  hasPublicKey,
} from "../identity/parameters.ts";
import { type Sec, secEntry } from "../identity/sec.ts";
import { toHex } from "../wire/hex.ts";
import { failure, type Result } from "../wire/result.ts";
import { CommandError, EXIT, print, printJson } from "./command.ts";
import { formatFields } from "./format.ts";

/** What `hba` and `cga` print. Octets are in hexadecimal. */

/** Why something is not verified; `reason` is a stable word to match on. */
export interface Refusal {
  readonly reason: string;
  readonly message: string;
}

export interface MemberDescription {
  readonly prefix: string;
  readonly address: string;
  readonly pds: string;
}

/** What the addresses of a set share. */
export interface SharedDescription {
  readonly sec: Sec;
  readonly secName: string;
  readonly modifier: string;
  readonly collisionCount: number;
  readonly hasPublicKey: boolean;
  readonly publicKey: string;
}

export function describeShared({ sec, members }: AddressSet): SharedDescription {
  const [first] = members;
  if (first === undefined) throw new RangeError("a set without addresses");
  const { modifier, collisionCount, publicKey } = first.parameters;
  return {
    sec,
    secName: secEntry(sec).name,
    modifier: toHex(modifier),
    collisionCount,
    hasPublicKey: hasPublicKey(first.parameters),
    publicKey: toHex(publicKey),
  };
}

export function describeMembers({ members }: AddressSet): MemberDescription[] {
  return members.map(({ address, parameters }) => ({
    prefix: parameters.subnetPrefix,
    address,
    pds: toHex(encodeParameters(parameters)),
  }));
}

export function printSet(set: AddressSet): void {
  const shared = describeShared(set);
  print(
    formatFields([
      ["Sec", `${shared.sec} (${shared.secName})`],
      ["modifier", shared.modifier],
      ["collision count", shared.collisionCount],
      ["public key", shared.hasPublicKey ? "yes" : "none: proves its own addresses only"],
    ]),
  );
  for (const { address, pds } of describeMembers(set)) print(`\n${address}\n  PDS ${pds}`);
}

/** Octets that are no CGA parameters can't verify anything: that is no wrong usage. */
export function parametersFrom(pds: Uint8Array): Result<CgaParameters, Refusal> {
  const decoded = decodeParameters(pds);
  if (decoded.ok) return decoded;
  const { code, offset, message } = decoded.error;
  return failure({ reason: code, message: `no CGA parameters: ${message} (octet ${offset})` });
}

/** What was asked, and what came of it. */
export type Verdict<Subject, Detail> = Reply &
  Subject &
  (({ readonly verified: true } & Detail) | ({ readonly verified: false } & Refusal));

/**
 * Prints what was verified, or why it was not, with exit status 1.
 * @param subject what was asked, for JSON
 * @param text for people, when verified
 */
export function printVerdict<Subject extends object, Detail extends object>(
  verdict: Result<Detail, Refusal>,
  subject: Subject,
  text: string,
  json: boolean,
): void {
  if (json) {
    const detail = verdict.ok ? verdict.value : verdict.error;
    const asked = { schemaVersion: SCHEMA_VERSION, verified: verdict.ok, ...subject } as const;
    printJson({ ...asked, ...detail });
    if (!verdict.ok) process.exitCode = EXIT.failed;
    return;
  }
  if (!verdict.ok) throw new CommandError(`not verified: ${verdict.error.message}`);
  print(text);
}
