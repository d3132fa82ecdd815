/** What is compared: who is to keep the transfer alive, and what happens to its path. */
export interface Variant {
  readonly system: "l3shim" | "mptcp-subflow" | "mptcp-backup";
  readonly event: PathEvent;
  /** What the transfer is; TCP, as fast as it goes, where missing. */
  readonly payload?: "udp-one-way";
  /** What the project holds its median to, in ms: of the silence, or of what follows a command. */
  readonly bound: number | undefined;
}

export type PathEvent =
  /** The interface of the first uplink is set down. */
  | { readonly kind: "link-down"; readonly host: "a" | "b" }
  /** The first ISP's router drops everything between the two in silence. */
  | { readonly kind: "cut" }
  /** A cut, and so many ms later a command at the sender to go by the second uplink. */
  | { readonly kind: "switch"; readonly after: number };

const SENDER_DOWN: PathEvent = { kind: "link-down", host: "a" };
const RECEIVER_DOWN: PathEvent = { kind: "link-down", host: "b" };
const CUT: PathEvent = { kind: "cut" };

export const VARIANTS: readonly Variant[] = [
  { system: "l3shim", event: SENDER_DOWN, bound: 100 },
  { system: "l3shim", event: RECEIVER_DOWN, bound: 100 },
  { system: "l3shim", event: { kind: "switch", after: 100 }, bound: 20 },
  { system: "l3shim", event: { kind: "switch", after: 2_000 }, bound: 20 },
  { system: "l3shim", event: CUT, bound: 600 },
  { system: "l3shim", event: CUT, payload: "udp-one-way", bound: 3_000 },
  ...(["mptcp-subflow", "mptcp-backup"] as const).flatMap((system) =>
    [SENDER_DOWN, RECEIVER_DOWN, CUT].map((event) => ({ system, event, bound: undefined })),
  ),
];

const SYSTEMS: Readonly<Record<Variant["system"], string>> = {
  l3shim: "L3SHIM, eBPF",
  "mptcp-subflow": "MPTCP, second subflow",
  "mptcp-backup": "MPTCP, backup subflow",
};

/** In words for people; tells variants apart. */
export function describeVariant({ system, event, payload }: Variant): string {
  const noticed = isNoticed({ system, event }) ? ", noticed by the adaptive detector" : "";
  const what = payload === undefined ? "" : "; UDP one way, 50 packets/s";
  return `${SYSTEMS[system]} | ${describeEvent(event)}${noticed}${what}`;
}

/** Nobody tells L3SHIM of the failure, and the Send Timeout would come too late. */
export function isNoticed({ system, event }: Pick<Variant, "system" | "event">): boolean {
  return system === "l3shim" && event.kind === "cut";
}

function describeEvent(event: PathEvent): string {
  switch (event.kind) {
    case "link-down":
      return `link down at the ${event.host === "a" ? "sender" : "receiver"}`;
    case "cut":
      return "silent cut";
    case "switch":
      return `silent cut, switched by hand ${event.after / 1000} s later`;
  }
}
