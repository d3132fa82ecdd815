import type { Instant } from "../../src/core/time.ts";
import type { TrafficSnapshot } from "../../src/core/traffic.ts";
import type { ContextView } from "../../src/core/view.ts";
import type { ControlMessage } from "../../src/wire/message.ts";
import type { ModelHost, Packet } from "./host.ts";
import { shortName, type TwoHosts } from "./two-hosts.ts";

/** Responder nonces count these periods (RFC 5533 section 14: VALIDATOR_MIN_LIFETIME). */
const VALIDATOR_PERIOD = 30_000;
/** From here on a validator is too old. */
const OLD = 2;
const NONCE_FIELDS = new Set(["initiatorNonce", "requestNonce", "nonce", "generation"]);

/**
 * A state as text: views, data plane, what is under way and each host's last message of each
 * type, with instants relative to the host's clock and nonces numbered as they appear. Equal
 * texts are taken for equal states. What no view, message or timer shows isn't in it.
 */
export function fingerprintOf(hosts: TwoHosts): string {
  return JSON.stringify(hosts.budget) + outlookOf(hosts);
}

/** The same without what may still go wrong: all that a fair run depends on. */
export function outlookOf(hosts: TwoHosts): string {
  const names = new Map<unknown, string>();
  const text = (value: unknown): string =>
    JSON.stringify(value, (key, field: unknown) => {
      if (key === "responderNonce") return ageOf(hosts, Number(field));
      // It says nothing that its nonce and its addresses don't say.
      if (key === "validator") return "";
      if (!NONCE_FIELDS.has(key)) return field;
      const known = names.get(field) ?? `n${names.size}`;
      names.set(field, known);
      return known;
    });
  const ends = hosts.hosts.map((host) => text(endOf(host)));
  // Ordered by what doesn't depend on the numbering.
  const flights = hosts.flights
    .toSorted((a, b) => (describePacket(a) < describePacket(b) ? -1 : 1))
    .map((packet) => text({ ...packet, content: messageIn(packet) ?? packet.content }));
  return [[...hosts.deadPaths].join(), ...ends, ...flights].join("\n");
}

/** Which incarnation's nonce it is, and how many periods old. */
function ageOf(hosts: TwoHosts, nonce: number): string {
  for (const { name, nonceBase, clock } of hosts.hosts) {
    const period = nonce - nonceBase;
    if (period < 0 || period >= 2 ** 20) continue;
    return `${name}${Math.min(OLD, Math.floor(clock / VALIDATOR_PERIOD) - period)}`;
  }
  return "dead";
}

function endOf(host: ModelHost): unknown {
  const { endpoint, plane, clock, lastSent, incarnation, secondLocatorUp } = host;
  return {
    incarnation,
    secondLocatorUp,
    contexts: endpoint.contexts().map((context) => contextOf(context, clock)),
    plane: plane.contexts.map(({ tag, mapping, watched, traffic }) => ({
      ...{ tag, mapping, watched },
      traffic: trafficOf(traffic.snapshot, clock),
    })),
    lastSent: [...lastSent.values()].toSorted((a, b) => (a.type < b.type ? -1 : 1)),
  };
}

function contextOf(context: ContextView, clock: Instant): unknown {
  const { tag, peerTag, state, reapState, ulids, locators, next } = context;
  const { localLocators, peerLocators } = context;
  const timer = next === undefined ? undefined : [next.reason, Math.round(next.at - clock)];
  const sets = { localLocators, peerLocators };
  return { tag, peerTag, state, reapState, ulids, locators, ...sets, timer };
}

function trafficOf(snapshot: TrafficSnapshot, clock: Instant): unknown {
  const { lastOut, lastIn, firstUnansweredOut, firstUnansweredIn } = snapshot;
  return [lastOut, lastIn, firstUnansweredOut, firstUnansweredIn].map((at) =>
    at === undefined ? null : Math.round(clock - at),
  );
}

function messageIn({ content }: Packet): ControlMessage | undefined {
  return "message" in content ? content.message : undefined;
}

/** As a trace names it: "I1 a1>b1". */
export function describePacket(packet: Packet): string {
  const message = messageIn(packet);
  const probe = message?.type === "Probe" ? `/${message.state}` : "";
  const type = message === undefined ? "payload" : `${message.type}${probe}`;
  return `${type} ${shortName(packet.source)}>${shortName(packet.destination)}`;
}
