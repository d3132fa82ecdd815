import type { Address } from "../wire/address.ts";
import { Application } from "./application.ts";
import type { AppResult } from "./apps/output.ts";
import type { Flow, FlowRecord } from "./flow.ts";
import { gapsOf, receivedBytes, receiverRecord } from "./flow.ts";
import type { Network } from "./network.ts";
import { sleep } from "./shell.ts";

export interface Endpoints {
  readonly from: string;
  readonly to: string;
  /** The sender's source address; `undefined` lets its kernel choose. */
  readonly source: Address | undefined;
  readonly destination: Address;
  /** 5000 .. 5999, which the lab's firewall lets in. */
  readonly port: number;
}

export interface TcpOptions extends Endpoints {
  /** Octets per second. */
  readonly rate: number;
  /** Octets in all; `undefined`: until stopped. */
  readonly bytes?: number;
  /** ms to wait for the end when stopped. */
  readonly patience?: number;
}

/** ms that a TCP sender has to bring out what it holds and to get the receiver's end. */
const TCP_PATIENCE = 15_000;
/** ms that a datagram receiver listens on behind the last datagram. */
const LINGER = 300;
const RESULT_PATIENCE = 5_000;

/** A TCP transfer of seeded data whose SHA-256 both ends compute. */
export async function startTcp(network: Network, options: TcpOptions): Promise<Flow & TcpFlow> {
  const { from, to, source, destination, port, rate, patience = TCP_PATIENCE } = options;
  const receiver = await Application.start(network, to, "tcp-receive", {
    listen: destination,
    port,
  });
  const bytes = options.bytes ?? 0;
  const seed = `${from}-${to}-${port}`;
  const connection = { from: source ?? "any", to: destination, port, rate, bytes, seed };
  const sender = await Application.start(network, from, "tcp-send", connection);
  return {
    ...observe("TCP", from, to, receiver),
    hasEnded: () => receiver.hasEnded && sender.hasEnded,
    stop: async () => {
      sender.finish();
      receiver.finish();
      const [sent, received] = await Promise.all([
        sender.collect(patience),
        receiver.collect(patience),
      ]);
      const damage = tcpDamage(sent, received, sender, receiver);
      const record = receiverRecord(receiver);
      const peer = received?.app === "tcp-receive" ? received.peer : undefined;
      const summary = `${megabytes(record.bytes)} MB, SHA-256 ${damage.length === 0 ? "equal" : "not equal"}`;
      return { kind: "TCP", from, to, ...record, peer, damage, summary };
    },
  };
}

export interface TcpFlow {
  /** Whether the transfer has come to its end at both ends. */
  hasEnded(): boolean;
}

/** Numbered datagrams of 160 octets at 1 kHz. */
export async function startUdp(network: Network, options: Endpoints): Promise<Flow> {
  const { from, to, source, destination, port } = options;
  const receiver = await Application.start(network, to, "udp-receive", {
    listen: destination,
    port,
  });
  const sender = await Application.start(network, from, "udp-send", {
    from: source ?? "::",
    to: destination,
    port,
  });
  return {
    ...observe("UDP", from, to, receiver),
    stop: async (): Promise<FlowRecord> => {
      sender.finish();
      const sent = await sender.collect(RESULT_PATIENCE);
      await sleep(LINGER);
      receiver.finish();
      const received = await receiver.collect(RESULT_PATIENCE);
      const [damage, summary] = udpVerdict(sent, received, sender, receiver);
      const record = receiverRecord(receiver);
      const peer = received?.app === "udp-receive" ? received.peer : undefined;
      return { kind: "UDP", from, to, ...record, peer, damage, summary };
    },
  };
}

/** What every flow with a receiver of the lab shows while it runs. */
export function observe(kind: Flow["kind"], from: string, to: string, receiver: Application) {
  return {
    kind,
    from,
    to,
    bytesReceived: (since?: number) => receivedBytes(receiver.outputs, since),
    gaps: () => gapsOf(receiver.outputs),
  };
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}

function tcpDamage(
  sent: AppResult | undefined,
  received: AppResult | undefined,
  sender: Application,
  receiver: Application,
): string[] {
  if (sent?.app !== "tcp-send")
    return [`the sender did not finish: ${sender.errorText || "it waits"}`];
  if (received?.app !== "tcp-receive") {
    return [`the receiver did not get to the end: ${receiver.errorText || "it waits"}`];
  }
  if (sent.bytes !== received.bytes) {
    return [`${sent.bytes} octets were sent, ${received.bytes} arrived`];
  }
  return sent.sha256 === received.sha256 ? [] : ["the SHA-256 of what arrived is another"];
}

function udpVerdict(
  sent: AppResult | undefined,
  received: AppResult | undefined,
  sender: Application,
  receiver: Application,
): [damage: string[], summary: string] {
  if (sent?.app !== "udp-send") return [[`no sender's account: ${sender.errorText}`], ""];
  if (received?.app !== "udp-receive")
    return [[`no receiver's account: ${receiver.errorText}`], ""];
  const damage: string[] = [];
  if (received.corrupt > 0) damage.push(`${received.corrupt} datagrams were corrupt`);
  if (received.duplicates > 0) damage.push(`${received.duplicates} datagrams came twice`);
  const summary =
    `${received.received} of ${sent.sent} datagrams, ${received.lost} lost, ` +
    `${received.duplicates} twice, ${received.reordered} reordered`;
  return [damage, summary];
}
