import type { Probe } from "../wire/message.ts";
import type { ContextTag } from "../wire/tag.ts";
import type { AddressPair } from "./output.ts";

/**
 * A Probe in the state InboundOk that reports nothing: the peer answers it with what it has
 * received, stays Operational, and leaves its current pair as it is (RFC 5534 section 6.8). What it
 * says holds while this host is Operational and asks about a pair: the peer was heard within the
 * Send Timeout, and may not hear us there (section 6). The answer comes by the peer's current pair.
 */
export function pairQuestion(pair: AddressPair, peerTag: ContextTag, nonce: number): Probe {
  const { local: source, peer: destination } = pair;
  return {
    ...{ type: "Probe", receiverContextTag: peerTag, state: "inboundok" },
    ...{ sentProbes: [{ source, destination, nonce, data: 0 }], receivedProbes: [], options: [] },
  };
}
