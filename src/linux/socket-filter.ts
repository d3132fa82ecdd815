import { addressOf } from "./libc.ts";
import { viewOf } from "./netlink.ts";

/**
 * Programs in classic BPF, which say of each packet whether a socket gets it. A raw socket's
 * packet begins behind the IPv6 header. A load beyond its end drops it.
 */

/** With a {@link FilterProgram}'s `option` at level SOL_SOCKET. */
export const SO_ATTACH_FILTER = 26;

/** As [code, jump if true, jump if false, operand]; a jump of n passes over n instructions. */
export type Instruction = readonly [
  code: number,
  jumpTrue: number,
  jumpFalse: number,
  operand: number,
];

const MULTIPLY = 0x24;
const ADD_INDEX = 0x0c;
const TO_INDEX = 0x07;
const LOAD_WORD = 0x20;
const LOAD_OCTET = 0x30;
const JUMP = 0x05;
const JUMP_IF_EQUAL = 0x15;
const JUMP_IF_LEAST = 0x35;
const JUMP_IF_BITS = 0x45;
const RETURN = 0x06;

export const DROP: Instruction = [RETURN, 0, 0, 0];
export const KEEP: Instruction = [RETURN, 0, 0, 0xffff_ffff];

/** SKF_NET_OFF: loads from here on count from the IPv6 header. */
export const FROM_IPV6_HEADER = 0xfff0_0000;

/** SKF_AD_OFF + SKF_AD_PROTOCOL: what a load from there gets is the packet's Ethernet type. */
export const OF_PROTOCOL = 0xffff_f000;
/** SKF_AD_OFF + SKF_AD_IFINDEX: the index of the packet's interface. */
export const OF_INTERFACE = 0xffff_f008;

/** Values that are compared one after the other at the end of a search. */
const LEAF = 8;

/** Ends a program that chooses among sockets: the one with this number. */
export function takeAsSocket(number: number): Instruction {
  return [RETURN, 0, 0, number];
}

export function loadWord(offset: number): Instruction {
  return [LOAD_WORD, 0, 0, offset];
}

export function loadOctet(offset: number): Instruction {
  return [LOAD_OCTET, 0, 0, offset];
}

export function ifBits(bits: number, jumpTrue: number, jumpFalse: number): Instruction {
  return [JUMP_IF_BITS, jumpTrue, jumpFalse, bits];
}

export function ifEqual(value: number, jumpTrue: number, jumpFalse: number): Instruction {
  return [JUMP_IF_EQUAL, jumpTrue, jumpFalse, value];
}

/** The sum of the words at these offsets, each times its factor, modulo 2^32. */
export function weightedSum(terms: readonly { offset: number; factor: number }[]): Instruction[] {
  return terms.flatMap(({ offset, factor }, i): Instruction[] => [
    ...(i === 0 ? [] : [[TO_INDEX, 0, 0, 0] as const]),
    loadWord(offset),
    [MULTIPLY, 0, 0, factor],
    ...(i === 0 ? [] : [[ADD_INDEX, 0, 0, 0] as const]),
  ]);
}

/**
 * Ends the program: `found` when the value loaded is among `values`, else `other`. A search by
 * halves, so that hundreds of values cost some ten comparisons.
 * @param values in ascending order
 */
export function searchFor(
  values: readonly number[],
  found: Instruction,
  other: Instruction,
): Instruction[] {
  if (values.length <= LEAF) {
    const compare = (value: number, i: number) => ifEqual(value, values.length - i, 0);
    return [...values.map(compare), other, found];
  }
  const middle = values.length >> 1;
  const lower = searchFor(values.slice(0, middle), found, other);
  const upper = searchFor(values.slice(middle), found, other);
  // Only unconditional jumps reach further than 255 instructions.
  const split: Instruction = [JUMP_IF_LEAST, 0, 1, values[middle] ?? 0];
  return [split, [JUMP, 0, 0, lower.length], ...lower, ...upper];
}

/** A program and the `struct sock_fprog` that names it. The kernel keeps a copy of its own. */
export class FilterProgram {
  readonly option = new Uint8Array(16);
  /** Reached by pointer: the field keeps it from being collected. */
  readonly #instructions: Uint8Array;

  constructor(instructions: readonly Instruction[]) {
    this.#instructions = encode(instructions);
    viewOf(this.option).setUint16(0, instructions.length, true);
    viewOf(this.option).setBigUint64(8, addressOf(this.#instructions), true);
  }
}

/** An array of `struct sock_filter`. */
function encode(instructions: readonly Instruction[]): Uint8Array {
  const bytes = new Uint8Array(instructions.length * 8);
  const view = viewOf(bytes);
  for (const [i, [code, jumpTrue, jumpFalse, operand]] of instructions.entries()) {
    view.setUint16(i * 8, code, true);
    view.setUint8(i * 8 + 2, jumpTrue);
    view.setUint8(i * 8 + 3, jumpFalse);
    view.setUint32(i * 8 + 4, operand, true);
  }
  return bytes;
}
