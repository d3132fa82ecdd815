import type { Detection } from "../core/config.ts";

/** A simulation as data. All times and spans are in seconds, all shares 0 .. 1. */
export interface Scenario {
  readonly name: string;
  readonly summary: string;
  readonly hosts: readonly HostSpec[];
  /** Of every uplink that has no model of its own. */
  readonly link: LinkModel;
  readonly flows: readonly FlowSpec[];
  readonly failures: readonly Failure[];
  /** Flows stop then, and failures end; a quiet time follows in which all contexts must go. */
  readonly duration: number;
  readonly sendTimeout: number;
  /** "rfc" where missing: by the Send Timeout alone. */
  readonly detect?: Detection;
  /** How long a better pair must have been good; no session goes back where this is missing. */
  readonly failBack?: { readonly hold: number; readonly maxHold: number };
  /** 300 at least (RFC 5533 section 9). */
  readonly contextIdleTimeout: number;
  /** Packets of a ULID pair, both directions together, that make a host open a context. */
  readonly trigger: number;
}

export interface HostSpec {
  readonly name: string;
  /** How many uplinks, with one address each; the first one's address is the ULID. */
  readonly uplinks: number;
}

/** One direction of an uplink. */
export interface LinkModel {
  /** One way. */
  readonly delay: number;
  /** Each packet takes up to so much longer, but overtakes none that left before it. */
  readonly jitter?: number;
  /** Share of packets lost, each for itself. */
  readonly loss?: number;
  /** Losses in bursts, besides: the model of Gilbert and Elliott. */
  readonly burst?: BurstModel;
  /** Share of packets held back by up to `by`, so that later ones pass them. */
  readonly reorder?: { readonly share: number; readonly by: number };
  /** Share of packets that arrive twice. */
  readonly duplicate?: number;
  /** Bits a second; packets wait for `queue` at most, and are dropped beyond. */
  readonly rate?: { readonly bitsPerSecond: number; readonly queue: number };
}

export interface BurstModel {
  /** Probability, packet by packet, of going from the good state to the bad one, and back. */
  readonly enter: number;
  readonly leave: number;
  /** Share of packets lost in the bad state. */
  readonly loss: number;
}

/** A toy application: `from` asks, `to` answers; with "one-way" it doesn't. */
export interface FlowSpec {
  readonly kind: "udp" | "tcp" | "one-way";
  readonly from: string;
  readonly to: string;
  /** From one request to the next; for "tcp" from an acknowledgement to the next segment. */
  readonly interval: number;
  /** When the flow starts; 0 where missing. */
  readonly start?: number;
  /** Mean lengths of its active and silent phases; always active where missing. */
  readonly phases?: { readonly active: number; readonly silent: number };
}

/** One uplink of a host, by position. */
export interface UplinkName {
  readonly host: string;
  readonly uplink: number;
}

/** Begins at `at` and ends after `lasts`, or with the scenario. */
export type Failure = { readonly at: number; readonly lasts?: number } & (
  | (UplinkName & {
      readonly type: "uplink";
      /** "up": what the host sends is lost; "down": what it would receive. */
      readonly direction: "up" | "down" | "both";
      /** The host sees it, as when a cable is pulled. */
      readonly seen: boolean;
    })
  /** Nothing gets from one uplink to another one, in this direction. */
  | { readonly type: "path"; readonly from: UplinkName; readonly to: UplinkName }
  /** These hosts reach each other only. */
  | { readonly type: "partition"; readonly hosts: readonly string[] }
  /** What passes the uplink, in either direction, is lost with this probability: bad radio. */
  | (UplinkName & { readonly type: "loss"; readonly share: number })
  /** The uplink has another address meanwhile; the host sees that, its peers have to be told. */
  | (UplinkName & { readonly type: "renumber" })
  /** The host is off for as long, and comes back with the same addresses and no state. */
  | { readonly type: "reboot"; readonly host: string }
);

/** The hosts that a failure names. */
export function hostsOf(failure: Failure): readonly string[] {
  switch (failure.type) {
    case "uplink":
    case "loss":
    case "renumber":
    case "reboot":
      return [failure.host];
    case "path":
      return [failure.from.host, failure.to.host];
    case "partition":
      return failure.hosts;
  }
}

/** The failure in a line of the trace. */
export function describeFailure(failure: Failure): string {
  switch (failure.type) {
    case "uplink": {
      const { host, uplink, direction, seen } = failure;
      return `uplink ${host}/${uplink} ${direction} ${seen ? "seen" : "silent"}`;
    }
    case "path": {
      const { from, to } = failure;
      return `path ${from.host}/${from.uplink} > ${to.host}/${to.uplink}`;
    }
    case "loss":
      return `loss of ${(failure.share * 100).toFixed(0)} % at ${failure.host}/${failure.uplink}`;
    case "renumber":
      return `renumber ${failure.host}/${failure.uplink}`;
    case "partition":
      return `partition ${failure.hosts.join(" ")}`;
    case "reboot":
      return `reboot ${failure.host}`;
  }
}
