import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { type Reply, SCHEMA_VERSION } from "../daemon/api.ts";
import { type Address, parseAddress } from "../wire/address.ts";
import type { CapturedPacket, CaptureError } from "../wire/capture.ts";
import { describePacket, describeShim6, type PacketDescription } from "../wire/describe.ts";
import { ipv6FromFrame } from "../wire/frame.ts";
import { fromHex } from "../wire/hex.ts";
import { hasIpv6Header, packetLength } from "../wire/ipv6.ts";
import { readCapture } from "../wire/pcap.ts";
import { renderPacket } from "../wire/render.ts";
import { SHIM6_UDP_PORT } from "../wire/udp.ts";
import { wholeNumber } from "./arguments.ts";
import { CommandError, EXIT, print, printJson } from "./command.ts";

interface DecodeOptions {
  readonly json: boolean;
  readonly src?: string;
  readonly dst?: string;
  readonly udpPort: number;
}

/** What was decoded, and what there was besides. */
interface Decoded {
  readonly packets: readonly DecodedPacket[];
  /** Frames of a capture that carry no Shim6. */
  readonly skipped: number;
  /** Frames among them whose link type is unknown. */
  readonly unknownLinkTypes: number;
  /** The capture could not be read to its end. */
  readonly damage?: CaptureError;
}

/** The place in the capture besides; times in seconds since 1970 with 9 decimals. */
type DecodedPacket = PacketDescription & {
  readonly frame?: number;
  readonly time?: string;
  readonly comment?: string;
};

/** What is printed as JSON. */
export interface DecodeReply extends Reply, Pick<Decoded, "packets" | "damage"> {}

/** `decode`: what stands in Shim6 packets, from hexadecimal digits or a capture file. */
export function registerDecode(program: Command): void {
  program
    .command("decode")
    .summary("show what Shim6 packets say")
    .description("Decodes a Shim6 packet given in hexadecimal, or all Shim6 packets of a capture.")
    .argument("<hex|file>", "hexadecimal digits, or the name of a pcap or pcapng file")
    .option("--json", "print JSON for programs", false)
    .option("--src <address>", "IPv6 source address of a Shim6 header given in hexadecimal")
    .option("--dst <address>", "IPv6 destination address of it")
    .option(
      "--udp-port <port>",
      "at both ends of Shim6 in UDP",
      wholeNumber(1, 65_535),
      SHIM6_UDP_PORT,
    )
    .addHelpText("after", INPUT_HELP)
    .action((input: string, options: DecodeOptions) => {
      const decoded = decodeInput(input, options);
      if (options.json) printJson(decodeReply(decoded));
      else print(formatDecoded(decoded));
      const isBad = decoded.packets.some(({ kind }) => kind === "malformed");
      if (isBad || decoded.damage !== undefined) process.exitCode = EXIT.failed;
    });
}

const INPUT_HELP = `
An argument of nothing but hexadecimal digits, white space and colons (and 0x before them) is
the packet itself; write ./NAME for a file with such a name. The packet is a whole IPv6 packet
when it begins with an IPv6 header that leads to a Shim6 header (next header 140, or UDP with the port of Shim6 at both ends) or whose
payload length is the number of octets that follow; its own addresses count then. Anything else
is what begins at the Shim6 header.

Exit status: 0 decoded, 1 a packet is malformed or the file damaged, 2 wrong usage. A wrong
checksum is shown and is not malformed.`;

function decodeInput(input: string, options: DecodeOptions): Decoded {
  const source = parseAddressOption("--src", options.src);
  const destination = parseAddressOption("--dst", options.dst);
  if (isHexText(input)) return decodeHex(input, source, destination, options.udpPort);
  if (source !== undefined || destination !== undefined) {
    throw new CommandError(
      "--src and --dst go with hexadecimal digits; packets in a file have their own addresses",
      EXIT.usage,
    );
  }
  return decodeFile(input, options.udpPort);
}

function parseAddressOption(name: string, text: string | undefined): Address | undefined {
  if (text === undefined) return undefined;
  const address = parseAddress(text);
  if (address === undefined) {
    throw new CommandError(`${name} ${text}: not an IPv6 address`, EXIT.usage);
  }
  return address;
}

function isHexText(input: string): boolean {
  return /^\s*(0x)?[0-9a-f\s:]*$/i.test(input);
}

function decodeHex(
  input: string,
  source: Address | undefined,
  destination: Address | undefined,
  port: number,
): Decoded {
  const bytes = fromHex(input);
  if (bytes === undefined) {
    throw new CommandError(
      `cannot read octets from "${input}": give two hexadecimal digits for each octet`,
      EXIT.usage,
    );
  }
  const packet = describeOctets(bytes, source, destination, port);
  return { packets: [packet], skipped: 0, unknownLinkTypes: 0 };
}

/** Decides as {@link INPUT_HELP} says: a whole IPv6 packet, or a Shim6 header and what follows. */
function describeOctets(
  bytes: Uint8Array,
  source: Address | undefined,
  destination: Address | undefined,
  port: number,
): PacketDescription {
  const whole = describePacket(bytes, port);
  if (whole !== undefined) return whole;
  if (!hasIpv6Header(bytes) || packetLength(bytes) !== bytes.length) {
    return describeShim6(bytes, source, destination);
  }
  const error = "an IPv6 packet whose headers lead to no Shim6 header";
  return { kind: "malformed", error, code: "no-shim6-header", offset: 0 };
}

function decodeFile(path: string, port: number): Decoded {
  const { packets: captured, error } = readCapture(readFile(path));
  const packets: DecodedPacket[] = [];
  let unknownLinkTypes = 0;
  for (const [index, packet] of captured.entries()) {
    const frame = ipv6FromFrame(packet.linkType, packet.bytes);
    if (frame.kind === "unknown-link-type") unknownLinkTypes += 1;
    if (frame.kind !== "ipv6") continue;
    const description = describePacket(frame.packet, port);
    if (description === undefined) continue;
    const { comment } = packet;
    const place = { frame: index + 1, ...formatTime(packet) };
    packets.push({ ...place, ...(comment !== undefined && { comment }), ...description });
  }
  const skipped = captured.length - packets.length;
  return { packets, skipped, unknownLinkTypes, ...(error !== undefined && { damage: error }) };
}

function readFile(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw explainReadError(path, error as NodeJS.ErrnoException);
  }
}

function explainReadError(path: string, cause: NodeJS.ErrnoException): CommandError {
  if (cause.code === "ENOENT") {
    const text = `"${path}" is neither hexadecimal digits nor the name of a file`;
    return new CommandError(text, EXIT.usage, { cause });
  }
  return new CommandError(`cannot read ${path}: ${cause.message}`, EXIT.failed, { cause });
}

function formatTime({ timestamp }: CapturedPacket): { time?: string } {
  if (timestamp === undefined) return {};
  const seconds = timestamp / 1_000_000_000n;
  const fraction = timestamp % 1_000_000_000n;
  return { time: `${seconds}.${fraction.toString().padStart(9, "0")}` };
}

function decodeReply({ packets, damage }: Decoded): DecodeReply {
  return { schemaVersion: SCHEMA_VERSION, packets, ...(damage !== undefined && { damage }) };
}

function formatDecoded(decoded: Decoded): string {
  const { packets, skipped, unknownLinkTypes, damage } = decoded;
  const lines = packets.flatMap(formatPacket);
  if (skipped > 0) {
    const unknown = unknownLinkTypes > 0 ? ` (of unknown link type: ${unknownLinkTypes})` : "";
    lines.push(`Shim6 packets: ${packets.length}; others: ${skipped}${unknown}`);
  }
  if (damage !== undefined) lines.push(`damaged at octet ${damage.offset}: ${damage.message}`);
  return lines.length === 0 ? "no packets" : lines.join("\n");
}

function formatPacket({ frame, time, comment, ...description }: DecodedPacket): string[] {
  const [first = "", ...rest] = renderPacket(description);
  const place = frame === undefined ? "" : `${frame}  ${time === undefined ? "" : `${time}  `}`;
  const remark = comment === undefined ? [] : [`  # ${comment}`];
  return [place + first, ...remark, ...rest];
}
