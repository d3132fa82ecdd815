export interface LocatorPair {
  readonly localLocator: string;
  readonly peerLocator: string;
}

/**
 * A line of the daemon's event stream, which `l3shim monitor --json` prints, as far as the lab
 * reads it. Further events and fields come too, and are passed over.
 */
export type ShimEvent = {
  /** Unix time in ms. */
  readonly time: number;
  /** The host whose daemon said so. */
  readonly host: string;
  readonly context: string | null;
} & (
  | {
      readonly event: "established" | "restored";
      readonly localUlid: string;
      readonly peerUlid: string;
    }
  | { readonly event: "failed" | "exploring" | "closed"; readonly cause: string }
  | { readonly event: "inboundok" }
  | { readonly event: "switched"; readonly from: LocatorPair; readonly to: LocatorPair }
  | ({
      readonly event: "recovered";
      readonly probesSent: number;
      readonly probesReceived: number;
    } & LocatorPair)
);

export function parseShimEvent(line: string, host: string): ShimEvent {
  const fields = JSON.parse(line) as { readonly time: string };
  return { ...fields, host, time: Date.parse(fields.time) } as ShimEvent;
}
