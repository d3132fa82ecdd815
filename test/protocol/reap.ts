import { chosen, done, notApplicable, type Section } from "./row.ts";

const CELLS = "core/reap > %s in %s: %s";
const EQUIVALENCE =
  "core/reap-equivalence > sends the same messages at the same instants as the machine that sees every packet";
const KEEPALIVES =
  "core/reap-equivalence > keepalives: three within the peer's Send Timeout after the last payload, then none";
const RATE = "core/reap > probes: four at half a second, then doubling to a minute";
const COMBINATIONS = "core/reap > A to B only on %j, B to A only on the reverse of %j";
const RESERVED = "wire/control > $type is ignorant of what is reserved";
const LAYOUT = "wire/control > $type is laid out as the RFC draws it";
const OPTION_LAYOUT = "wire/options > $name is laid out as the RFC draws it";
const TIMEOUT_TOLD =
  "core/requirements > another Send Timeout than the default is told, and taken for the Keepalive Timeout";

/** RFC 5534 sections 4 to 7. */
export const REAP: readonly Section[] = [
  {
    rfc: 5534,
    number: "4.1",
    title: "Failure Detection",
    requirements: [
      done(
        "SHOULD",
        "follow what happens to the host's own addresses and links",
        "core/reap > a lost local locator starts the exploration at once",
        "daemon/host > locators are told when they change, and only then",
      ),
      done(
        "must",
        "take payload without an answer for a failure",
        "core/reap > payload flows again after Send Timeout plus one exchange, tagged, on the other locators",
      ),
      chosen(
        "RECOMMENDED",
        "send keepalives two or three times in a Keepalive Timeout",
        "three times",
        KEEPALIVES,
      ),
      done(
        "SHOULD",
        "go on with them until payload leaves or the timeout ends",
        KEEPALIVES,
        "core/reap > 3: payload one way is answered by keepalives within the Send Timeout",
      ),
      chosen(
        "SHOULD",
        "randomize the Send Timeout",
        "each context's is longer than what the peer is told, by up to 5 %",
        "core/requirements > Send Timeouts differ from context to context",
      ),
    ],
  },
  {
    rfc: 5534,
    number: "4.2",
    title: "Full Reachability Exploration",
    requirements: [
      chosen(
        "SHOULD",
        "tell the ULP of a new path",
        "ICMPv6 hints take TCP's back-off back (RFC 6069), and the route has the new MTU",
        "netns/dataplane-compliance > a TCP connection moves to the second path",
      ),
    ],
  },
  {
    rfc: 5534,
    number: "4.3",
    title: "Exploration Order",
    requirements: [
      chosen(
        "SHOULD",
        "try all pairs, again and again, until one works",
        "our decision on their order: what shares nothing with the failed pair first, that pair last",
        COMBINATIONS,
        "core/reap > probes go to pairs that share nothing with the failed one first, to the failed one last",
      ),
      done("MUST", "try them one after the other, backing off", RATE),
    ],
  },
  {
    rfc: 5534,
    number: "5.1",
    title: "Keepalive Message",
    requirements: [
      done("MUST", "have type 66", LAYOUT),
      done("MUST", "ignore all three reserved fields", RESERVED),
      chosen(
        "MAY",
        "carry options",
        "none is defined; what comes is passed over",
        "core/requirements > an unknown option that isn't critical is passed over",
      ),
    ],
  },
  {
    rfc: 5534,
    number: "5.2",
    title: "Probe Message",
    requirements: [
      done("MUST", "have type 67", LAYOUT),
      done("MUST", "ignore both reserved bits and fields", RESERVED),
      done(
        "MUST",
        "describe itself as the first of the sent probes",
        "wire/control > reports at least itself as sent",
      ),
      done(
        "MUST",
        "report a received probe in InboundOk",
        "core/requirements > a probe in InboundOk reports what has come in",
      ),
      done(
        "MAY",
        "report further probes in any state",
        "core/requirements > a probe in InboundOk reports what has come in",
      ),
      done("MUST", "send Reserved2 as zero and ignore it", LAYOUT, RESERVED),
      done(
        "RECOMMENDED",
        "have nonces that are hard to guess",
        "core/parts > tags have 47 bits, nonces 32, and spans stay within their bounds",
        "core/requirements > probes have nonces that don't repeat",
      ),
      chosen(
        "SHOULD",
        "take them from a good random source",
        "the daemon gives the core the system's cryptographic source",
        "core/requirements > probes have nonces that don't repeat",
      ),
    ],
  },
  {
    rfc: 5534,
    number: "5.3",
    title: "Keepalive Timeout Option Format",
    requirements: [
      done("MUST", "tell the peer a Send Timeout that isn't the default", TIMEOUT_TOLD),
      chosen(
        "MAY",
        "tell it in I2, I2bis, R2 or Update Request",
        "an Update Request tells one that changes",
        TIMEOUT_TOLD,
        "core/updates > is told by an Update Request, once, and taken for the Keepalive Timeout",
      ),
      done("SHOULD", "tell it once", TIMEOUT_TOLD),
      done("SHOULD", "take it for the peer's context", TIMEOUT_TOLD),
      done("MUST", "have option type 10", OPTION_LAYOUT),
      done("MUST", "have Length 4", OPTION_LAYOUT, "wire/options > %s has no other: %s"),
      done(
        "MUST",
        "ignore the reserved field",
        "wire/options > reserved fields are ignored on receipt",
      ),
    ],
  },
  {
    rfc: 5534,
    number: "6",
    title: "Behavior",
    requirements: [
      chosen(
        "MUST",
        "behave as the state machine does, seen from outside",
        "read from snapshots instead of packet by packet",
        CELLS,
        EQUIVALENCE,
      ),
    ],
  },
  {
    rfc: 5534,
    number: "6.1",
    title: "Incoming Payload Packet",
    requirements: [
      done(
        "MUST",
        "name in a probe the state that follows it",
        EQUIVALENCE,
        "core/reap > 4: A has one address; when B1 fails both ends move to (A, B2)",
      ),
      done("SHOULD", "send keepalives at their interval while the timer runs", KEEPALIVES),
    ],
  },
  {
    rfc: 5534,
    number: "6.7",
    title: "Reception of the Probe Message State=Exploring",
    requirements: [done("must", "answer with InboundOk", CELLS)],
  },
  {
    rfc: 5534,
    number: "6.8",
    title: "Reception of the Probe Message State=InboundOk",
    requirements: [
      chosen(
        "must",
        "use the pair that the peer reports",
        "our decision: only if its nonce is ours and the pair in Ls",
        CELLS,
        "core/reap > a report whose nonce isn't ours moves nothing",
      ),
    ],
  },
  {
    rfc: 5534,
    number: "6.9",
    title: "Reception of the Probe Message State=Operational",
    requirements: [done("must", "end the exploration", CELLS, COMBINATIONS)],
  },
  {
    rfc: 5534,
    number: "6.10",
    title: "Graphical Representation of the State Machine",
    requirements: [
      notApplicable("must", "follow the figure", "our decision: the text wins where they differ"),
    ],
  },
  {
    rfc: 5534,
    number: "7",
    title: "Protocol Constants and Variables",
    requirements: [
      chosen(
        "RECOMMENDED",
        "have no Send Timeout under 10 seconds",
        "less draws a warning",
        "daemon/config > a send timeout under 10 s draws a warning, 10 s does not",
      ),
      chosen(
        "RECOMMENDED",
        "have no Send Timeout above 100 seconds",
        "more is refused",
        "daemon/config > %j is refused with file, line %i and key",
      ),
    ],
  },
];
