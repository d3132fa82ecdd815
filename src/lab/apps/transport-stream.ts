/** Octets of an MPEG-TS packet (ISO/IEC 13818-1, 2.4.3.2). */
const PACKET_LENGTH = 188;
const SYNC = 0x47;
const NULL_PID = 0x1fff;

/** Checks MPEG-TS packets: sync octets, and the continuity counter of each PID. */
export class TransportStreamChecker {
  #packets = 0;
  #discontinuities = 0;
  #corrupt = 0;
  readonly #streams = new Map<number, LastPacket>();

  /**
   * Takes whole packets that arrived at `now` (Unix time in ms). Returns, for each jump of a
   * counter, when its PID's packet before the jump had arrived: a PID may be rare.
   */
  record(bytes: Buffer, now: number): number[] {
    const jumps: number[] = [];
    for (let start = 0; start < bytes.length; start += PACKET_LENGTH) {
      const jumpedSince = this.#recordPacket(bytes.subarray(start, start + PACKET_LENGTH), now);
      if (jumpedSince !== undefined) jumps.push(jumpedSince);
    }
    this.#discontinuities += jumps.length;
    return jumps;
  }

  summary(): { packets: number; discontinuities: number; corrupt: number } {
    return {
      packets: this.#packets,
      discontinuities: this.#discontinuities,
      corrupt: this.#corrupt,
    };
  }

  #recordPacket(packet: Buffer, now: number): number | undefined {
    this.#packets += 1;
    const transportError = ((packet[1] ?? 0) & 0x80) !== 0;
    if (packet.length !== PACKET_LENGTH || packet[0] !== SYNC || transportError) {
      this.#corrupt += 1;
      return undefined;
    }
    const pid = packet.readUInt16BE(1) & 0x1fff;
    return pid === NULL_PID ? undefined : this.#checkCounter(pid, packet, now);
  }

  /** The counter counts the packets of its PID that have payload (2.4.3.3). */
  #checkCounter(pid: number, packet: Buffer, now: number): number | undefined {
    const control = packet[3] ?? 0;
    const counter = control & 0x0f;
    const hasPayload = (control & 0x10) !== 0;
    const last = this.#streams.get(pid);
    this.#streams.set(pid, { counter, time: now });
    if (last === undefined || isAnnounced(packet)) return undefined;
    const expected = hasPayload ? (last.counter + 1) & 0x0f : last.counter;
    return counter === expected ? undefined : last.time;
  }
}

interface LastPacket {
  readonly counter: number;
  readonly time: number;
}

/** The discontinuity_indicator of the adaptation field: the sender jumps on purpose. */
function isAnnounced(packet: Buffer): boolean {
  const hasAdaptationField = ((packet[3] ?? 0) & 0x20) !== 0;
  return hasAdaptationField && (packet[4] ?? 0) > 0 && ((packet[5] ?? 0) & 0x80) !== 0;
}
