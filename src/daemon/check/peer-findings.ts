import type { Finding, PeerSurvey, SurveyedPairStatus } from "../api.ts";

/** What a survey says of the paths to a peer, in sentences. Pure. */

/**
 * @param peer the address that was asked for
 * @param host what is wrong with the host itself: what follows from that is not said twice
 */
export function peerFindings(
  peer: string,
  survey: PeerSurvey,
  host: readonly Finding[],
): Finding[] {
  if (survey.context === null) return withoutContext(peer, survey);
  const lost = host.filter(({ id }) => id === "no-source-routing").map(({ subject }) => subject);
  const pairs = survey.pairs.filter(({ localLocator }) => !lost.includes(localLocator));
  return [...pairs.flatMap(pairFindings), ...peerLocatorFindings(peer, survey)];
}

function withoutContext(peer: string, { pairs }: PeerSurvey): Finding[] {
  if (pairs.some(({ refused }) => refused)) return [withoutShim(peer)];
  if (pairs.some(({ back }) => back)) {
    const broken = pairs.flatMap(pairFindings);
    return broken.length > 0 ? broken : [notEstablished(peer)];
  }
  return [pairs.some(({ echo }) => echo?.answered) ? silentPeer(peer) : unreachablePeer(peer)];
}

function unreachablePeer(peer: string): Finding {
  return {
    id: "peer-unreachable",
    severity: "error",
    subject: peer,
    sentence: `${peer} answers nothing: neither protocol 140 nor ICMPv6 echo.`,
    remedy: `See whether the address is right and the host is up: ping ${peer}.`,
  };
}

function withoutShim(peer: string): Finding {
  return {
    id: "peer-without-shim",
    severity: "error",
    subject: peer,
    sentence: `${peer} runs no L3SHIM: it says that it does not know protocol 140.`,
    remedy: "Install L3SHIM there and start it. Until then sessions with it are plain IPv6.",
  };
}

function notEstablished(peer: string): Finding {
  return {
    id: "no-context",
    severity: "error",
    subject: peer,
    sentence: `${peer} speaks Shim6, but no context with it could be established.`,
    remedy:
      "Look at the logs of both ends: both must have the same security, and the address must be one " +
      "that proves the peer's others (`l3shim locators` there) where that is verified.",
  };
}

/** Linux without a shim refuses what it does not know, unless a firewall hides that. */
function silentPeer(peer: string): Finding {
  return {
    id: "protocol-140-dropped",
    severity: "error",
    subject: peer,
    sentence: `${peer} answers ICMPv6 echo, but nothing of protocol 140 gets there and back by any path.`,
    remedy:
      "Let it pass the firewalls of both ends (nft: meta l4proto 140 accept), and see whether L3SHIM runs " +
      "there. If an ISP drops it, allow Shim6 in UDP at both ends (encapsulation.enabled), or sessions with " +
      "this peer stay plain IPv6.",
  };
}

function pairFindings(pair: SurveyedPairStatus): Finding[] {
  const { there, back, echo } = pair;
  if (there === true && back === true) return echo === null ? [] : mtuFindings(pair, echo);
  if (pair.sent + pair.probesSent === 0) return [];
  if (echo?.answered === true) return [droppedFinding(pair)];
  return [there === true ? oneWayFinding(pair) : deadFinding(pair)];
}

function mtuFindings(
  pair: SurveyedPairStatus,
  { size, sizePasses }: NonNullable<SurveyedPairStatus["echo"]>,
): Finding[] {
  if (size === null || sizePasses) return [];
  return [
    {
      id: "mtu-black-hole",
      severity: "error",
      subject: nameOf(pair),
      sentence:
        `Packets of ${size} octets get lost between ${pair.localLocator} and ${pair.peerLocator}, ` +
        "short ones do not, and no router says Packet Too Big: sessions there hang.",
      remedy:
        "Let ICMPv6 type 2 pass all firewalls on the way. Where that is not yours to change, set a " +
        "smaller MTU on the uplink (ip link set dev INTERFACE mtu 1400, or less until it works).",
    },
  ];
}

function droppedFinding(pair: SurveyedPairStatus): Finding {
  const isKnown = pair.there !== null;
  const way = isKnown ? `on the way ${pair.there ? "back" : "there"}` : "there or back";
  return {
    id: "protocol-140-dropped",
    severity: "warning",
    subject: nameOf(pair),
    sentence:
      `Something between ${pair.localLocator} and ${pair.peerLocator} drops protocol 140 ${way}, ` +
      "while ICMPv6 echo passes. Sessions between these two as ULIDs go on as plain IPv6 there; none can move there.",
    remedy:
      "Let protocol 140 pass the firewalls of both ends (nft: meta l4proto 140 accept); if an ISP drops it, " +
      "ask that one, or allow Shim6 in UDP at both ends (encapsulation.enabled).",
  };
}

function oneWayFinding(pair: SurveyedPairStatus): Finding {
  return {
    id: "one-way-path",
    severity: "warning",
    subject: nameOf(pair),
    sentence: `Packets get from ${pair.localLocator} to ${pair.peerLocator}, but none comes back.`,
    remedy:
      `See by which uplink the peer answers: "ip -6 route get ${pair.localLocator} from ${pair.peerLocator}" ` +
      "there; and run l3shim check there.",
  };
}

function deadFinding(pair: SurveyedPairStatus): Finding {
  return {
    id: "path-dead",
    severity: "warning",
    subject: nameOf(pair),
    sentence: `Nothing gets from ${pair.localLocator} to ${pair.peerLocator} and back, neither protocol 140 nor ICMPv6 echo.`,
    remedy: `Try it: ping -I ${pair.localLocator} ${pair.peerLocator}; and run l3shim check at both ends.`,
  };
}

/** The host's own part of it is said elsewhere. */
function peerLocatorFindings(peer: string, { pairs }: PeerSurvey): Finding[] {
  const locators = new Set(pairs.map(({ peerLocator }) => peerLocator));
  if (locators.size !== 1) return [];
  return [
    {
      id: "peer-single-locator",
      severity: "info",
      subject: peer,
      sentence: `${peer} offers one locator only: when its uplink dies, there is no other way to it.`,
      remedy:
        "Run l3shim check there. Where security is verified, name the address that proves its others: " +
        "l3shim locators there marks it HBA.",
    },
  ];
}

function nameOf({ localLocator, peerLocator }: SurveyedPairStatus): string {
  return `${localLocator} > ${peerLocator}`;
}
