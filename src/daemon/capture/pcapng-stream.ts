import type { Writable } from "node:stream";
import { IPV6_HEADER_LENGTH, payloadLength } from "../../wire/ipv6.ts";
import { enhancedPacket, interfaceDescription, sectionHeader } from "../../wire/pcapng-writer.ts";
import type { CaptureReader } from "./capture-hub.ts";

/** Octets that wait for a slow reader at most; packets beyond that are lost to it, and counted. */
const BACKLOG_LIMIT = 1024 * 1024;

/** Writes what is captured as a pcapng file. */
export class PcapngStream implements CaptureReader {
  readonly #out: Writable;
  readonly #interfaces = new Map<string, number>();
  #lost = 0;
  #missed = 0;

  constructor(out: Writable) {
    this.#out = out;
  }

  begin(comments: readonly string[]): void {
    this.#out.write(sectionHeader(comments));
  }

  packet(interfaceName: string, at: number, packet: Uint8Array, comment: string): void {
    if (this.#out.writableLength > BACKLOG_LIMIT) {
      this.#lost += 1;
      return;
    }
    const interfaceNumber = this.#numberOf(interfaceName);
    const originalLength = IPV6_HEADER_LENGTH + payloadLength(packet);
    const said = `${comment}${this.#takeLost()}${this.#takeMissed()}`;
    this.#out.write(enhancedPacket({ interfaceNumber, at, packet, originalLength, comment: said }));
  }

  missed(count: number): void {
    this.#missed += count;
  }

  end(): void {
    this.#out.end();
  }

  #numberOf(interfaceName: string): number {
    const known = this.#interfaces.get(interfaceName);
    if (known !== undefined) return known;
    const number = this.#interfaces.size;
    this.#interfaces.set(interfaceName, number);
    this.#out.write(interfaceDescription(interfaceName));
    return number;
  }

  #takeLost(): string {
    const lost = this.#lost;
    this.#lost = 0;
    return lost === 0 ? "" : `; ${lost} packets before it are missing: the reader was too slow`;
  }

  #takeMissed(): string {
    const missed = this.#missed;
    this.#missed = 0;
    return missed === 0 ? "" : `; ${missed} IPv6 packets of this host before it passed unseen`;
  }
}
