import { chosen, done, notApplicable, type Section } from "./row.ts";

const REFUSED = "core/updates > %s: Error %i, and nothing changes";
const SHORT = "wire/control > $type with 8 octets less is too short";
const TOLD = "core/updates > a new locator is told in mid-session, acknowledged, and then serves";
const STRANGE_UPDATE =
  "core/requirements > an Update Request or Acknowledgement from an unknown address gets R1bis: %s";
const CRITICAL =
  "core/updates > an unknown critical option: Error 1 that points at it, and the message is not processed";
const REBOOT =
  "core/recovery > a peer that rebooted while packets are mapped gets its context and its session back";

/** RFC 5533 sections 8 to 13. */
export const SESSIONS: readonly Section[] = [
  {
    rfc: 5533,
    number: "8",
    title: "Handling ICMP Error Messages",
    requirements: [
      done(
        "MUST",
        "deliver to the ULP what the shim doesn't act on",
        "wire/icmp6 > gives the ULP the packet that it sent, from the same router, to its ULID",
        "netns/dataplane-compliance > an ICMPv6 error about a rewritten packet reaches the application",
      ),
      done(
        "SHOULD",
        "have a switch to deliver what the shim acts on too",
        "core/icmp > are kept from the ULP > unless all are to be delivered",
        "core/icmp > are kept from the ULP > while there is another pair to try, and no longer",
        "dataplane/nfqueue/rewriter > is dropped while they are withheld, about a rewritten packet",
        "netns/dataplane-compliance > ICMPv6 errors that the shim acts on are withheld from the application, and told",
      ),
      done(
        "must",
        "say 8 octets less in Packet Too Big",
        "wire/icmp6 > makes an MTU of %d one of %d",
        "netns/dataplane-compliance > a smaller MTU on the way reaches TCP and UDP",
      ),
      done(
        "MAY",
        "try other pairs when an error calls the current one dead",
        "core/icmp > type %i code %i about the current pair starts an exploration at once",
        "core/icmp > type %i code %i starts none: another pair doesn't help",
      ),
    ],
  },
  {
    rfc: 5533,
    number: "9",
    title: "Teardown of the ULID-Pair Context",
    requirements: [
      chosen(
        "RECOMMENDED",
        "keep a context that an ULP may use",
        "traffic shows use, as the shim sees no sockets",
        "core/establishment > a context with payload now and then is kept",
      ),
      done(
        "RECOMMENDED",
        "end a context only after it has been quiet",
        "core/establishment > a quiet context is collected after the idle time, and may be triggered again",
      ),
    ],
  },
  {
    rfc: 5533,
    number: "10.1",
    title: "Sending Update Request Messages",
    requirements: [
      chosen(
        "must",
        "give each new list its own generation",
        "our decision for what follows in a session: a new random one",
        "core/updates > newer information replaces the request under way and contains it (section 10.3)",
      ),
      done(
        "must",
        "sign CGA locators",
        "core/proofs > locators proven by CGA > %s has the parameters with the list, and the signature",
      ),
    ],
  },
  {
    rfc: 5533,
    number: "10.2",
    title: "Retransmitting Update Request Messages",
    requirements: [
      chosen(
        "must",
        "repeat a request, backing off with jitter",
        "our decision: at most every MAX_UPDATE_TIMEOUT, until the context goes",
        "core/updates > requests go on for ever, doubling to two minutes, with one nonce",
      ),
    ],
  },
  {
    rfc: 5533,
    number: "10.3",
    title: "Newer Information while Retransmitting",
    requirements: [
      done(
        "must",
        "have one request under way at most, and ignore answers to older ones",
        "core/updates > newer information replaces the request under way and contains it (section 10.3)",
      ),
    ],
  },
  {
    rfc: 5533,
    number: "10.4",
    title: "Receiving Update Request Messages",
    requirements: [
      done(
        "MUST",
        "drop a request below 16 octets in silence",
        SHORT,
        "core/requirements > a message too short for its type is dropped in silence: %s",
      ),
      done("MUST", "check that the addresses are the context's", STRANGE_UPDATE),
      done("MUST", "else answer R1bis and do no more", STRANGE_UPDATE),
      done(
        "MUST",
        "check that CGA parameters are those of ULID(peer)",
        "core/proofs > what an attacker tells > parameters of another set in %s: silence, and nothing is taken",
      ),
      done("must", "acknowledge what was taken, and refuse what doesn't fit", TOLD, REFUSED),
      done(
        "must",
        "drop a request in I1-SENT",
        "core/requirements > in I1-SENT an Update Request is dropped",
      ),
    ],
  },
  {
    rfc: 5533,
    number: "10.5",
    title: "Receiving Update Acknowledgement Messages",
    requirements: [
      done(
        "MUST",
        "drop an acknowledgement below 16 octets in silence",
        SHORT,
        "core/requirements > a message too short for its type is dropped in silence: %s",
      ),
      done("MUST", "check that the addresses are the context's", STRANGE_UPDATE),
      done("MUST", "else answer R1bis and do no more", STRANGE_UPDATE),
      done(
        "must",
        "ignore another nonce than that of the request under way",
        "core/requirements > an acknowledgement with another nonce is ignored",
      ),
    ],
  },
  {
    rfc: 5533,
    number: "11",
    title: "Sending ULP Payloads",
    requirements: [
      done(
        "must",
        "leave payload as it is while the ULIDs are the pair",
        "core/establishment > the null mapping holds: established contexts leave payload as it is",
      ),
    ],
  },
  {
    rfc: 5533,
    number: "11.1",
    title: "Sending ULP Payload after a Switch",
    requirements: [
      done(
        "MUST NOT",
        "touch ULP checksums",
        "wire/payload > leaves the ULP checksum, which covers the ULIDs",
        "netns/e2e-wire > tshark finds the transport checksums right for the ULIDs",
      ),
      done(
        "must",
        "put the header behind those of the routing sublayer",
        "wire/ipv6 > %s (RFC 5533 sections 4.6 and 11.1)",
      ),
    ],
  },
  {
    rfc: 5533,
    number: "12",
    title: "Receiving Packets",
    requirements: [
      chosen(
        "must",
        "tell payload from control by P",
        "our decision: P = 1 is payload, as the figures have it",
        "wire/payload > is told by P = 1, against RFC 5533 section 12",
      ),
    ],
  },
  {
    rfc: 5533,
    number: "12.2",
    title: "Receiving Shim6 Payload Extension Headers",
    requirements: [
      done("SHOULD", "answer a tag that nobody has by R1bis", REBOOT),
      chosen(
        "must",
        "repeat I2 or I2bis for payload in I2-SENT or I2BIS-SENT",
        "at most twice a second",
        "core/requirements > payload with our tag in I2-SENT repeats I2, twice a second at most",
      ),
    ],
  },
  {
    rfc: 5533,
    number: "12.3",
    title: "Receiving Shim Control Messages",
    requirements: [
      done("MUST", "answer an unknown critical option with code 1 and a pointer to it", CRITICAL),
      done(
        "must",
        "drop what has a wrong checksum or multicast address",
        "core/establishment > bad checksums and multicast sources are dropped silently and counted",
      ),
      done(
        "must",
        "drop what claims more octets than there are",
        "wire/control > may not claim more octets than there are",
      ),
      done(
        "must",
        "pass over unknown options that aren't critical",
        "core/requirements > an unknown option that isn't critical is passed over",
      ),
    ],
  },
  {
    rfc: 5533,
    number: "12.4",
    title: "Context Lookup",
    requirements: [
      chosen(
        "must",
        "find payload's context by its tag alone",
        "our decision: control messages need the context's addresses too",
        "core/reap > a probe from an address outside the peer's locators is counted and answered by R1bis",
      ),
    ],
  },
  {
    rfc: 5533,
    number: "13",
    title: "Initial Contact",
    requirements: [
      notApplicable(
        "must",
        "try other addresses for the first contact",
        "the ULP's work, before there is a context",
      ),
    ],
  },
];
