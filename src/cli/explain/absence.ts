import type { ContextStatus, HostLocator, MonitorEvent, StatusReply } from "../../daemon/api.ts";
import { type Address, isLinkLocal, isMulticast } from "../../wire/address.ts";
import type { Flow } from "./flow.ts";

/** Why a flow has no context that could protect it. */
export interface Absence {
  /** A stable word to match on. */
  readonly id:
    | "no-path-to-choose"
    | "local-not-offered"
    | "no-support"
    | "no-answer"
    | "rejected"
    | "other-ulid"
    | "not-yet";
  readonly sentence: string;
  /** What to do; `null` when there is nothing. */
  readonly remedy: string | null;
  /** How long nothing is tried, whatever traffic there is; `null`: no such time. */
  readonly until: string | null;
}

/** What the daemon says, as far as it tells of flows without a context. */
export interface Surroundings {
  readonly status: Pick<StatusReply, "trigger">;
  readonly contexts: readonly ContextStatus[];
  readonly locators: readonly Pick<HostLocator, "address">[];
  readonly events: readonly MonitorEvent[];
}

/** @param flow of which no context is, or has been, on the way to protect it */
export function whyNoContext(flow: Flow, surroundings: Surroundings): Absence {
  return (
    addressWithoutChoice(flow) ??
    localNotOffered(flow, surroundings) ??
    otherUlid(flow, surroundings) ??
    notYet(flow, surroundings)
  );
}

/** An attempt to establish it has failed, and is not repeated for a while (RFC 5533 section 7.8). */
export function whyItFailed(context: ContextStatus, events: readonly MonitorEvent[]): Absence {
  const failures = events.filter(({ event }) => event === "failed");
  const last = failures.findLast((event) => event.context === context.localTag);
  const cause = last?.event === "failed" ? last.cause : undefined;
  const peer = context.peerUlid;
  const until = context.next?.at ?? null;
  if (context.state === "NO-SUPPORT") return { ...withoutShim(peer), until };
  return { ...(cause === "rejected" ? rejected(peer) : silent(peer)), until };
}

function withoutShim(peer: string): Omit<Absence, "until"> {
  return {
    id: "no-support",
    sentence: `${peer} has no Shim6: it says that it does not know protocol 140. Packets are plain IPv6.`,
    remedy: "Install L3SHIM there.",
  };
}

function silent(peer: string): Omit<Absence, "until"> {
  return {
    id: "no-answer",
    sentence: `${peer} does not answer Shim6: it has none, or protocol 140 is dropped on the way. Packets are plain IPv6.`,
    remedy: `l3shim check ${peer} tells which.`,
  };
}

function rejected(peer: string): Omit<Absence, "until"> {
  return {
    id: "rejected",
    sentence: `${peer} speaks Shim6, but what one end said of its locators the other did not accept. Packets are plain IPv6.`,
    remedy: `Both ends must have the same security; l3shim check ${peer} tells more.`,
  };
}

function addressWithoutChoice({ local, peer }: Flow): Absence | undefined {
  const address = [local, peer].find((each) => each !== null && hasNoChoice(each as Address));
  if (address === undefined) return undefined;
  const sentence = `${address} is link-local, multicast or the loopback: there is one path only, and the shim leaves it alone.`;
  return { id: "no-path-to-choose", sentence, remedy: null, until: null };
}

function hasNoChoice(address: Address): boolean {
  return isLinkLocal(address) || isMulticast(address) || address === "::1";
}

function localNotOffered({ local }: Flow, { locators }: Surroundings): Absence | undefined {
  if (local === null || locators.some(({ address }) => address === local)) return undefined;
  return {
    id: "local-not-offered",
    sentence: `${local} is no locator of this host: sessions on it are plain IPv6.`,
    remedy:
      "l3shim locators shows those that are. Temporary addresses (RFC 8981) are none unless " +
      "locators.temporary is set, unique local ones (fc00::/7) never.",
    until: null,
  };
}

function otherUlid({ peer }: Flow, { contexts }: Surroundings): Absence | undefined {
  const known = contexts.find(({ peerLocators }) =>
    peerLocators.some(({ address }) => address === peer),
  );
  if (peer === null || known === undefined) return undefined;
  return {
    id: "other-ulid",
    sentence: `${peer} is a locator of the peer ${known.peerUlid}: no session that began on it has a context.`,
    remedy: `l3shim explain ${known.peerUlid} explains those of the peer.`,
    until: null,
  };
}

function notYet(flow: Flow, { status, events }: Surroundings): Absence {
  const { packets, age } = status.trigger;
  const aged = age === null ? "" : `, or ${age} s of traffic`;
  const closed = events.findLast((event) => event.event === "closed" && concerns(event, flow));
  const before = closed?.event === "closed" ? ` The last one was closed: ${closed.cause}.` : "";
  return {
    id: "not-yet",
    sentence: `There is no context: a pair of addresses gets one after ${packets} packets, both ways together${aged}.${before}`,
    remedy: "l3shim open LOCAL PEER establishes one at once.",
    until: null,
  };
}

function concerns(event: MonitorEvent, { local, peer }: Flow): boolean {
  if (event.event !== "closed") return false;
  return (
    (local ?? event.localUlid) === event.localUlid && (peer ?? event.peerUlid) === event.peerUlid
  );
}
