/** TCP, UDP, DCCP, SCTP and UDP-Lite: they begin with source and destination port. */
export const PROTOCOLS_WITH_PORTS: readonly number[] = [6, 17, 33, 132, 136];

/** Ports from `first` to `last`, both included. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** A packet has the mark when its own, under the mask, is the value. Both 32 bits. */
export interface MarkMatch {
  readonly value: number;
  readonly mask: number;
}

/**
 * Which outbound packets of a ULID pair a forked context carries (RFC 5533 section 4.2). A
 * packet must meet every criterion that is there; without any, all packets do.
 */
export interface FlowSelector {
  /** Of the upper layer, behind all extension headers: 0 .. 255. */
  readonly protocol?: number;
  /** Of {@link PROTOCOLS_WITH_PORTS}. */
  readonly localPorts?: PortRange;
  readonly peerPorts?: PortRange;
  /** The upper six bits of the Traffic Class (RFC 2474): 0 .. 63. */
  readonly dscp?: number;
  /** The packet mark (SO_MARK, or a firewall's). */
  readonly mark?: MarkMatch;
}
