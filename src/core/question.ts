import type { Probe } from "../wire/message.ts";
import type { ContextTag } from "../wire/tag.ts";
import type { Context } from "./context.ts";
import type { AddressPair } from "./output.ts";
import type { Shim } from "./shim.ts";
import type { Instant } from "./time.ts";

/**
 * A Probe in the state InboundOk that reports nothing: the peer answers it with what it has
 * received, stays Operational, and leaves its current pair as it is (RFC 5534 section 6.8). What it
 * says holds while this host is Operational and asks about a pair: the peer was heard within the
 * Send Timeout, and may not hear us there (section 6). The answer comes by the peer's current pair.
 */
function pairQuestion(pair: AddressPair, peerTag: ContextTag, nonce: number): Probe {
  const { local: source, peer: destination } = pair;
  return {
    ...{ type: "Probe", receiverContextTag: peerTag, state: "inboundok" },
    ...{ sentProbes: [{ source, destination, nonce, data: 0 }], receivedProbes: [], options: [] },
  };
}

/** Sends {@link pairQuestion}. @returns its nonce; `undefined` where the peer's tag is not known */
export function askPair(
  now: Instant,
  shim: Shim,
  { paths, peerTag, tag }: Context,
  pair: AddressPair,
): number | undefined {
  if (peerTag === undefined) return undefined;
  const nonce = shim.random.uint32();
  const question = pairQuestion(pair, peerTag, nonce);
  paths.noteSent(now, pair, question);
  shim.send(pair, question, tag);
  return nonce;
}
