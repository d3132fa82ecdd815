import type { TrafficSnapshot } from "./traffic.ts";

type PayloadIn = Pick<TrafficSnapshot, "packetsIn" | "bytesIn">;

/** Below 0 for a context whose payload record has gone on without us. */
interface Allowance {
  readonly packets: number;
  readonly octets: number;
}

/**
 * How much a context may send to locators at which the peer has not answered, for the sake of
 * what the peer says: as many packets and octets as came from the peer, control and payload.
 * Whoever names a victim's address as a locator, or forges a probe, so gains nothing by it
 * (RFC 5533 section 16.2, RFC 5534 section 8).
 */
export class ProbeAllowance {
  #packetsHeard = 0;
  #octetsHeard = 0;
  #packetsSpent = 0;
  #octetsSpent = 0;

  /** A control message has come. @param octets IPv6 header included */
  heard(octets: number): void {
    this.#packetsHeard += 1;
    this.#octetsHeard += octets;
  }

  /** What may still leave. */
  left({ packetsIn, bytesIn }: PayloadIn): Allowance {
    return {
      packets: this.#packetsHeard + packetsIn - this.#packetsSpent,
      octets: this.#octetsHeard + bytesIn - this.#octetsSpent,
    };
  }

  /**
   * After a restart: what was left when the context was saved, and what has been heard since
   * this one began. Payload that has come in between may have been spent already.
   */
  takeUp({ packets, octets }: Allowance, { packetsIn, bytesIn }: PayloadIn): void {
    this.#packetsHeard += packets - packetsIn;
    this.#octetsHeard += octets - bytesIn;
  }

  /** False when less has come than would have left with this packet. */
  take(octets: number, payload: PayloadIn): boolean {
    const left = this.left(payload);
    if (left.packets < 1 || left.octets < octets) return false;
    this.#packetsSpent += 1;
    this.#octetsSpent += octets;
    return true;
  }
}
