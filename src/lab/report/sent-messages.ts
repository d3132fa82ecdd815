import type { CapturedMessage } from "../capture.ts";

/** A control message that a host sent, and when the other end got it. */
export interface SentMessage {
  readonly time: number;
  readonly host: string;
  readonly type: string;
  readonly source: string;
  readonly destination: string;
  readonly detail: string;
  /** Unix time in ms; `undefined` when it never arrived. */
  readonly arrivedAt: number | undefined;
}

/** ms that a message may be under way: the lab's links are short, its machine may be busy. */
const LONGEST_WAY = 1_000;

/** Matches what was sent with what was received by addresses and octets, each arrival once. */
export function sentMessages(messages: readonly CapturedMessage[]): SentMessage[] {
  const received = messages.filter(({ direction }) => direction === "received");
  const open = new Set(received);
  return messages
    .filter(({ direction }) => direction === "sent")
    .toSorted((a, b) => a.time - b.time)
    .map((sent) => {
      const arrival = received.find(
        (candidate) => open.has(candidate) && isArrival(candidate, sent),
      );
      if (arrival !== undefined) open.delete(arrival);
      const { time, host, type, source, destination, detail } = sent;
      return { time, host, type, source, destination, detail, arrivedAt: arrival?.time };
    });
}

function isArrival(received: CapturedMessage, sent: CapturedMessage): boolean {
  return (
    received.host !== sent.host &&
    received.octets === sent.octets &&
    received.source === sent.source &&
    received.destination === sent.destination &&
    Math.abs(received.time - sent.time) < LONGEST_WAY
  );
}
