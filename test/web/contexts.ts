import type { ContextStatus } from "../../src/daemon/api.ts";

export const A1 = "2001:db8:1:a::1";
export const A2 = "2001:db8:2:a::1";
export const B1 = "2001:db8:1:b::1";
export const B2 = "2001:db8:2:b::1";

const LOCATOR = { preference: 0, weight: 0, transient: false };
const AT = "2026-01-01T00:00:00.000Z";

/** As the control API shows a context that is well, and with what is said of it. */
export function contextOf(said: Partial<ContextStatus> = {}): ContextStatus {
  return {
    ...{ state: "ESTABLISHED", reapState: "Operational", initiator: true },
    ...{ localUlid: A1, peerUlid: B1, localLocator: A1, peerLocator: B1 },
    ...{ localTag: "00000000000a", peerTag: "00000000000b", forkedInstance: 0, selector: null },
    ...{ preferred: null, pin: null, survey: null, betterPairs: [], next: null },
    localLocators: [A1, A2].map((address) => ({ ...LOCATOR, address, operational: true })),
    peerLocators: [B1, B2].map((address) => ({
      ...{ ...LOCATOR, address, method: null, broken: false, reachable: true },
    })),
    ...{ packetsIn: 0, packetsOut: 0, bytesIn: 0, bytesOut: 0, lastIn: null, lastOut: null },
    ...{ createdAt: AT, establishedAt: AT, lastSwitchAt: null, switches: 0 },
    path: { since: AT, cause: "established", because: null, from: null, exploration: null },
    ...{ probesSent: 0, probesReceived: 0, keepalivesSent: 0, keepalivesReceived: 0 },
    ...said,
  };
}
