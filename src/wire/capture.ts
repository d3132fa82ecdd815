/** One packet of a capture file. */
export interface CapturedPacket {
  /** Nanoseconds since 1970-01-01T00:00:00Z; `undefined` where the file does not say. */
  readonly timestamp: bigint | undefined;
  /** The LINKTYPE_ number: what the octets begin with. */
  readonly linkType: number;
  /** What somebody has written about it. */
  readonly comment?: string;
  /** As many octets as were captured; a view of the file. */
  readonly bytes: Uint8Array;
}

/** Where and why a capture file cannot be read further. */
export interface CaptureError {
  readonly code: "unknown-format" | "truncated" | "malformed";
  /** Octets from the beginning of the file. */
  readonly offset: number;
  readonly message: string;
}

export interface Capture {
  /** All packets before the damage, in the order of the file. */
  readonly packets: readonly CapturedPacket[];
  /** `undefined` when the file is whole. */
  readonly error: CaptureError | undefined;
}
