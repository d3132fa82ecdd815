import type { TrafficSnapshot } from "./traffic.ts";

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

  /** False when less has come than would have left with this packet. */
  take(octets: number, { packetsIn, bytesIn }: TrafficSnapshot): boolean {
    const packets = this.#packetsHeard + packetsIn - this.#packetsSpent;
    const left = this.#octetsHeard + bytesIn - this.#octetsSpent;
    if (packets < 1 || left < octets) return false;
    this.#packetsSpent += 1;
    this.#octetsSpent += octets;
    return true;
  }
}
