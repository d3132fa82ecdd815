import type { ArrivalSummary } from "./arrivals.ts";

/**
 * What the lab's applications write, one JSON object a line. They run in the namespaces as
 * processes of their own; all times are Unix time in ms.
 */
export type AppOutput =
  /** The receiver listens; the sender may start. */
  | { readonly type: "ready" }
  /** Octets that arrived in the 100 ms from `time` on; intervals without are left out. */
  | { readonly type: "sample"; readonly time: number; readonly bytes: number }
  /** Nothing arrived between these two arrivals. */
  | { readonly type: "gap"; readonly from: number; readonly to: number }
  /** This many datagrams are missing, or counters have jumped, between these two arrivals. */
  | { readonly type: "loss"; readonly from: number; readonly to: number; readonly missing: number }
  /** Sending or receiving has failed for good. */
  | { readonly type: "error"; readonly message: string }
  | AppResult;

/** The last line of an application. */
export type AppResult = { readonly type: "result" } & (
  | { readonly app: "tcp-send"; readonly bytes: number; readonly sha256: string }
  | ({
      readonly app: "tcp-receive";
      readonly sha256: string;
      readonly peer: string;
    } & ArrivalSummary)
  | { readonly app: "udp-send"; readonly sent: number; readonly refused: number }
  | ({
      readonly app: "udp-receive";
      /** Where the last datagram came from; empty when none did. */
      readonly peer: string;
    } & DatagramSummary &
      ArrivalSummary)
  | ({ readonly app: "ts-receive" } & StreamSummary & ArrivalSummary)
);

export interface DatagramSummary {
  readonly received: number;
  readonly lost: number;
  readonly duplicates: number;
  /** Came behind a datagram with a higher number. */
  readonly reordered: number;
  readonly corrupt: number;
}

export interface StreamSummary {
  /** MPEG-TS packets of 188 octets. */
  readonly packets: number;
  /** Steps of a continuity counter that were not the next one (ISO/IEC 13818-1, 2.4.3.3). */
  readonly discontinuities: number;
  /** Packets without the sync octet, or flagged as damaged. */
  readonly corrupt: number;
}

export function print(output: AppOutput): void {
  process.stdout.write(`${JSON.stringify(output)}\n`);
}

/**
 * Calls `finish` when the lab closes our standard input, which it does also by dying. Waiting for
 * that does not keep the process alive.
 */
export function whenTold(finish: () => void): void {
  process.stdin.on("end", finish).resume().unref();
}

/** Says what went wrong and ends the process as failed. */
export function fail(error: Error): never {
  print({ type: "error", message: error.message });
  process.exit(1);
}
