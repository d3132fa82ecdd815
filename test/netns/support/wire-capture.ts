import { readFile, writeFile } from "node:fs/promises";
import { markCapture } from "../../../src/lab/capture-mark.ts";
import { LabProcess } from "../../../src/lab/lab-process.ts";
import type { Network } from "../../../src/lab/network.ts";
import { inNamespace, run, waitFor } from "../../../src/lab/shell.ts";
import { readCapture } from "../../../src/wire/pcap.ts";

const ETHERNET_HEADER_LENGTH = 14;
const LINKTYPE_RAW = 101;
const LONGEST_PACKET = 0xffff;
/** All nodes of a link. */
const ALL_NODES = "ff02::1";

/** Everything that an interface sends and receives, in a file. */
export class WireCapture {
  readonly file: string;
  readonly #process: LabProcess;
  readonly #mark: () => Promise<void>;

  private constructor(file: string, process: LabProcess, mark: () => Promise<void>) {
    this.file = file;
    this.#process = process;
    this.#mark = mark;
  }

  static async start(network: Network, host: string, device: string, file: string) {
    const namespace = network.namespace(host);
    const process = new LabProcess({
      namespace,
      argv: ["dumpcap", "-q", "-P", "-B", "16", "-i", device, "-f", "ip6", "-w", file],
    });
    await waitFor(() => process.errorText.includes("File:") || undefined, {
      timeout: 10_000,
      timeoutError: () => process.failure("no capture"),
    });
    const failure = () => process.failure("the capture does not get on");
    const mark = () => markCapture(namespace, ["-I", device, ALL_NODES], file, failure);
    return new WireCapture(file, process, mark);
  }

  /** Ends the recording, with all that has passed until now in it. */
  async stop(): Promise<void> {
    await this.#mark();
    await this.#process.stop("SIGINT");
  }

  /** The IPv6 packets that are in the file so far, each from its header on. */
  async packets(): Promise<Buffer[]> {
    const { packets } = readCapture(await readFile(this.file));
    return packets.map(({ bytes }) => Buffer.from(bytes.subarray(ETHERNET_HEADER_LENGTH)));
  }
}

/** Makes the kernel cut segments and fill in checksums itself, so that captures show the wire. */
export async function disableOffloads(network: Network): Promise<void> {
  const off = ["tso", "gso", "gro", "tx"].flatMap((feature) => [feature, "off"]);
  for (const host of network.topology.hosts) {
    for (const { isp } of host.uplinks) {
      await run(inNamespace(network.namespace(host.name), ["ethtool", "-K", isp, ...off]));
      await run(inNamespace(network.namespace(isp), ["ethtool", "-K", host.name, ...off]));
    }
  }
}

/** Writes IPv6 packets as a pcap file for tshark. */
export async function writePackets(file: string, packets: readonly Buffer[]): Promise<void> {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(0xa1b2c3d4, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(LONGEST_PACKET, 16);
  header.writeUInt32LE(LINKTYPE_RAW, 20);
  const records = packets.flatMap((packet) => {
    const record = Buffer.alloc(16);
    record.writeUInt32LE(packet.length, 8);
    record.writeUInt32LE(packet.length, 12);
    return [record, packet];
  });
  await writeFile(file, Buffer.concat([header, ...records]));
}

/** One row per packet that the display filter lets through, with these fields. */
export async function tshark(
  file: string,
  filter: string,
  ...fields: readonly string[]
): Promise<string[][]> {
  const checks = ["tcp", "udp"].flatMap((protocol) => ["-o", `${protocol}.check_checksum:TRUE`]);
  const columns = fields.flatMap((field) => ["-e", field]);
  const output = await run([
    "tshark",
    "-r",
    file,
    ...checks,
    "-Y",
    filter,
    "-T",
    "fields",
    ...columns,
  ]);
  return output
    .split("\n")
    .filter(Boolean)
    .map((line) => line.split("\t"));
}
