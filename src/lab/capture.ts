import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { addressFromBytes } from "../wire/address.ts";
import { decodeControl } from "../wire/control.ts";
import { DESTINATION_OFFSET, findShim6Header, packetLength, SOURCE_OFFSET } from "../wire/ipv6.ts";
import type { ControlMessage } from "../wire/message.ts";
import { readCapture } from "../wire/pcap.ts";
import { markCapture } from "./capture-mark.ts";
import { LabProcess } from "./lab-process.ts";
import type { Network } from "./network.ts";
import { waitFor } from "./shell.ts";

/** A control message as a host's interfaces saw it. */
export interface CapturedMessage {
  /** Unix time in ms. */
  readonly time: number;
  readonly host: string;
  readonly direction: "sent" | "received";
  /** In the names of RFC 5533 Table 1. */
  readonly type: ControlMessage["type"] | "Malformed";
  readonly source: string;
  readonly destination: string;
  /** A probe's state; empty for other messages. */
  readonly detail: string;
  /** The octets, in hexadecimal, by which the two ends' records are matched. */
  readonly octets: string;
}

const LOOPBACK = "::1";
/** Protocol 140 with P=0 (RFC 5533 section 5.3), and what marks the capture's end. */
const CONTROL_MESSAGES = `(ip6 proto 140 and ip6[42] & 0x80 = 0) or (icmp6 and host ${LOOPBACK})`;

/** Octets before the packet in Linux "cooked" captures, which hold all interfaces in one file. */
const COOKED_HEADER_LENGTH = 16;
const PACKET_TYPE_OUTGOING = 4;

/** Records the control messages on all interfaces of a host. */
export class MessageCapture {
  readonly #host: string;
  readonly #namespace: string;
  readonly #file: string;
  readonly #process: LabProcess;

  private constructor(network: Network, host: string, directory: string) {
    this.#host = host;
    this.#namespace = network.namespace(host);
    this.#file = join(directory, `${host}.pcap`);
    // dumpcap and not tcpdump: the latter can't drop its privileges inside a user namespace.
    const options = ["-q", "-P", "-i", "any", "-f", CONTROL_MESSAGES, "-w", this.#file];
    const argv = ["dumpcap", ...options];
    this.#process = new LabProcess({ namespace: this.#namespace, argv });
  }

  /** @throws LabError when dumpcap doesn't get to work. */
  static async start(network: Network, host: string, directory: string): Promise<MessageCapture> {
    const capture = new MessageCapture(network, host, directory);
    await capture.#untilCapturing();
    return capture;
  }

  /** Ends the recording, with all that has passed until now in it, and decodes it. */
  async stop(): Promise<CapturedMessage[]> {
    const failure = () => this.#process.failure("the capture does not get on");
    await markCapture(this.#namespace, [LOOPBACK], this.#file, failure);
    await this.#process.stop("SIGINT");
    const { packets } = readCapture(await readFile(this.#file));
    return packets.flatMap(({ timestamp = 0n, bytes }) => {
      const message = decodeCooked(bytes);
      return message === undefined
        ? []
        : [{ time: Number(timestamp / 1000n) / 1000, host: this.#host, ...message }];
    });
  }

  async #untilCapturing(): Promise<void> {
    const failure = () => this.#process.failure(`cannot record packets on host ${this.#host}`);
    await waitFor(
      () => {
        if (this.#process.hasEnded) throw failure();
        // dumpcap names the file once the interface is open.
        return this.#process.errorText.includes("File:") ? true : undefined;
      },
      { timeout: 10_000, timeoutError: failure },
    );
  }
}

function decodeCooked(bytes: Uint8Array): Omit<CapturedMessage, "time" | "host"> | undefined {
  const packet = bytes.subarray(COOKED_HEADER_LENGTH);
  const length = packetLength(packet);
  if (typeof length === "string") return undefined;
  const offset = findShim6Header(packet, length);
  if (typeof offset === "string") return undefined;
  const octets = packet.subarray(offset, length);
  const decoded = decodeControl(octets);
  const message = decoded.ok ? decoded.value.message : undefined;
  return {
    direction: bytes[1] === PACKET_TYPE_OUTGOING ? "sent" : "received",
    type: message?.type ?? "Malformed",
    source: addressFromBytes(packet, SOURCE_OFFSET),
    destination: addressFromBytes(packet, DESTINATION_OFFSET),
    detail: message?.type === "Probe" ? message.state : "",
    octets: Buffer.from(octets).toString("hex"),
  };
}
