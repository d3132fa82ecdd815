import type { Capture, CapturedPacket, CaptureError } from "./capture.ts";
import { isPcapng, readPcapng } from "./pcapng.ts";

const FILE_HEADER_LENGTH = 24;
const RECORD_HEADER_LENGTH = 16;
const LINK_TYPE_OFFSET = 20;

/** The magic numbers of classic pcap and the nanoseconds that the fraction counts in. */
const FRACTION_UNITS: ReadonlyMap<number, bigint> = new Map([
  [0xa1b2c3d4, 1000n],
  [0xa1b23c4d, 1n],
]);

const NANOSECONDS_PER_SECOND = 1_000_000_000n;

/** Reads a capture file, pcap or pcapng, of either byte order. Never throws. */
export function readCapture(file: Uint8Array): Capture {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (isPcapng(view)) return readPcapng(file);
  return readPcap(file, view);
}

function readPcap(file: Uint8Array, view: DataView): Capture {
  if (file.length < FILE_HEADER_LENGTH) {
    return broken([], "unknown-format", 0, `${file.length} octets are no capture file`);
  }
  const littleEndian = FRACTION_UNITS.has(view.getUint32(0, true));
  const unit = FRACTION_UNITS.get(view.getUint32(0, littleEndian));
  if (unit === undefined) {
    return broken(
      [],
      "unknown-format",
      0,
      "the file begins with neither pcap's nor pcapng's number",
    );
  }
  // The upper bits tell of a frame check sequence at the end, which no one minds here.
  const linkType = view.getUint32(LINK_TYPE_OFFSET, littleEndian) & 0xffff;
  return readRecords(file, view, { littleEndian, unit, linkType });
}

interface PcapFormat {
  readonly littleEndian: boolean;
  readonly unit: bigint;
  readonly linkType: number;
}

function readRecords(file: Uint8Array, view: DataView, format: PcapFormat): Capture {
  const { littleEndian, unit, linkType } = format;
  const packets: CapturedPacket[] = [];
  let offset = FILE_HEADER_LENGTH;
  while (offset < file.length) {
    const start = offset + RECORD_HEADER_LENGTH;
    if (start > file.length) {
      return broken(packets, "truncated", offset, "the file ends in a packet's header");
    }
    const seconds = BigInt(view.getUint32(offset, littleEndian));
    const fraction = BigInt(view.getUint32(offset + 4, littleEndian));
    const length = view.getUint32(offset + 8, littleEndian);
    if (start + length > file.length) {
      const text = `a packet of ${length} octets; ${file.length - start} are left`;
      return broken(packets, "truncated", offset, text);
    }
    const timestamp = seconds * NANOSECONDS_PER_SECOND + fraction * unit;
    packets.push({ timestamp, linkType, bytes: file.subarray(start, start + length) });
    offset = start + length;
  }
  return { packets, error: undefined };
}

function broken(
  packets: readonly CapturedPacket[],
  code: CaptureError["code"],
  offset: number,
  message: string,
): Capture {
  return { packets, error: { code, offset, message } };
}
