import type { ControlMessage } from "../../src/wire/message.ts";

const IPV6_HEADER = 40;
/** What is answered without a context: whoever asks may have forged the address. */
const ANSWERS: ReadonlySet<ControlMessage["type"]> = new Set(["R1", "R1bis", "Error"]);

interface Reply {
  readonly bytes: Uint8Array;
  readonly message: ControlMessage;
}

/** What one control message has cost at most; octets include IPv6 headers. */
export interface MessageCost {
  /** Packets sent for it. */
  readonly packets: number;
  readonly octets: number;
  /** Packets sent to whom no context vouches for. */
  readonly answers: number;
  /** Octets of such answers for each octet of the message. */
  readonly amplification: number;
}

export const NO_COST: MessageCost = { packets: 0, octets: 0, answers: 0, amplification: 0 };

/** @param length of the message from the Shim6 header on */
export function costOf(length: number, replies: readonly Reply[]): MessageCost {
  const answers = replies.filter(({ message }) => ANSWERS.has(message.type));
  return {
    packets: replies.length,
    octets: octets(replies),
    answers: answers.length,
    amplification: octets(answers) / (IPV6_HEADER + length),
  };
}

/** The most of each. */
export function dearest(a: MessageCost, b: MessageCost): MessageCost {
  return {
    packets: Math.max(a.packets, b.packets),
    octets: Math.max(a.octets, b.octets),
    answers: Math.max(a.answers, b.answers),
    amplification: Math.max(a.amplification, b.amplification),
  };
}

function octets(replies: readonly Reply[]): number {
  return replies.reduce((sum, { bytes }) => sum + IPV6_HEADER + bytes.length, 0);
}
