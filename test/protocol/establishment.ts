import { chosen, done, notApplicable, type Section } from "./row.ts";

const HOSTILE = "core/hostile-exchanges";
const VERIFIED =
  "core/establishment > mode verified believes no locator without proof, and offers none";
const REFUSED = "core/updates > %s: Error %i, and nothing changes";
const SHORT = "wire/control > $type with 8 octets less is too short";
const RECENT =
  "core/parts > accepts its own for at least VALIDATOR_MIN_LIFETIME and at most twice that";
const BINDS = "core/parts > binds every field, the nonce and the length";
const CONFUSION =
  "core/establishment > one tag of one peer for two ULID pairs is confusion: the older context goes";
const EXCHANGE =
  "core/establishment > I1, R1, I2, R2 lead to ESTABLISHED on both ends with each other's tags and locators";
const REBOOT =
  "core/recovery > a peer that rebooted while packets are mapped gets its context and its session back";
const BACK_TO_I1 =
  "core/recovery > without an answer to I2bis the initiator goes back to I1, over what worked last";
const RECOVERY_OPTIONS =
  "core/requirements > I2bis carries validator, ULID pair and locators over a pair that isn't the ULIDs";
const I2_ULIDS = "core/requirements > I2 over a pair that isn't the ULIDs names the ULID pair";
const ECHO = "core/requirements > R1 and R1bis carry a Responder Validator, and I2 gives it back";
const AGAIN =
  "core/establishment > after I2_RETRIES_MAX the initiator goes back to I1, and I1 in ESTABLISHED with our tag gets R2";
const WRONG_VALIDATOR =
  "core/establishment > an I2 with a validator that isn't ours is dropped and counted";
const LOST_R2 = "core/establishment > a lost R2 is answered again when I2 comes again";
const CROSSING = "core/establishment > an I1 that crosses I2 is answered by R2";
const BOTH_CROSS =
  "core/establishment > crossing I1s are answered by R2s, and both ends agree on the tags";
const STRANGE_SOURCE = "core/requirements > I2 from an address that no list has is dropped";

/** RFC 5533 sections 7.1 to 7.16. */
export const ESTABLISHMENT: readonly Section[] = [
  {
    rfc: 5533,
    number: "7.1",
    title: "Uniqueness of Context Tags",
    requirements: [
      done(
        "MUST",
        "have one tag for one context",
        "core/requirements > no two contexts of a host have one tag, whatever the random source gives",
      ),
      chosen(
        "MUST",
        "leave 30 bits of the tag to chance",
        "all 47 are random",
        "core/parts > tags have 47 bits, nonces 32, and spans stay within their bounds",
      ),
      done(
        "SHOULD",
        "cycle at random through all tags",
        "core/parts > tags have 47 bits, nonces 32, and spans stay within their bounds",
      ),
    ],
  },
  {
    rfc: 5533,
    number: "7.2",
    title: "Locator Verification",
    requirements: [
      done(
        "must",
        "send from a locator only once the peer knows it",
        "core/updates > a new locator is told in mid-session, acknowledged, and then serves",
      ),
      chosen(
        "SHOULD",
        "verify a list before acknowledging it",
        'until HBA and CGA are there, a list without proof is refused in mode "verified"',
        VERIFIED,
      ),
      chosen(
        "MUST",
        "verify a locator before sending to it",
        'until HBA and CGA are there, no such locator is taken in mode "verified"',
        VERIFIED,
      ),
      done(
        "MUST",
        "find the peer present at a locator before payload goes there",
        "core/reap > a report whose nonce isn't ours moves nothing",
        "core/icmp > a lie about a pair that works costs probes, and moves nothing",
      ),
      done("MUST", "ignore a list with an unknown or unfit method, and its message", REFUSED),
      done("SHOULD", "answer it with code 2 and a pointer to the method", REFUSED),
    ],
  },
  {
    rfc: 5533,
    number: "7.4",
    title: "Concurrent Context Establishment",
    requirements: [
      done(
        "must",
        "end crossing attempts in one context with agreed tags",
        BOTH_CROSS,
        "core/establishment > with the first message of every kind lost, crossing attempts still agree",
      ),
    ],
  },
  {
    rfc: 5533,
    number: "7.5",
    title: "Context Recovery",
    requirements: [
      done(
        "must",
        "make the context of a peer that lost it anew",
        REBOOT,
        "core/recovery > a lost context is found out by probes when payload was unmapped",
      ),
      done(
        "must",
        "let payload flow meanwhile",
        "core/recovery > data flows in I2BIS-SENT: the mapping stays while the recovery is under way",
      ),
    ],
  },
  {
    rfc: 5533,
    number: "7.6",
    title: "Context Confusion",
    requirements: [
      done(
        "MUST",
        "tell in I2, I2bis and R2 locators by which the peer knows the host",
        EXCHANGE,
        RECOVERY_OPTIONS,
      ),
      done("MUST", "remove the old context that had the tag", CONFUSION),
      notApplicable(
        "MAY",
        "make the removed context anew",
        "the trigger does it when payload flows again",
      ),
      notApplicable(
        "OPTIONAL",
        "do so for an ULP that still uses the ULIDs",
        "the trigger does it when payload flows again",
      ),
    ],
  },
  {
    rfc: 5533,
    number: "7.7",
    title: "Sending I1 Messages",
    requirements: [
      done("MUST", "tell the ULID pair", EXCHANGE, BACK_TO_I1),
      done("MUST", "use the option when the addresses are others", BACK_TO_I1),
      done(
        "MUST",
        "name the FII when it isn't zero",
        "core/forks > I1 and I2 name the Forked Instance Identifier; both ends have two contexts then",
        "core/forks > a peer that lost a fork gets it back with its identifier",
      ),
    ],
  },
  {
    rfc: 5533,
    number: "7.8",
    title: "Retransmitting I1 Messages",
    requirements: [
      chosen(
        "must",
        "back off, then hold off",
        "our decision: four retransmissions, so five I1",
        "core/establishment > I1 goes out five times at most, backing off with jitter, then E-FAILED holds one minute",
        "core/establishment > while the hold-down lasts no trigger starts anew; afterwards one may",
      ),
      chosen(
        "must",
        "take an ICMPv6 refusal of I1 for no support",
        'our decision: only "unrecognized next header" that quotes our I1',
        "core/establishment > ICMPv6 'unrecognized next header' quoting our I1 leads to NO-SUPPORT for ten minutes",
        "core/establishment > a forged refusal with another nonce or address changes nothing",
      ),
    ],
  },
  {
    rfc: 5533,
    number: "7.9",
    title: "Receiving I1 Messages",
    requirements: [
      done(
        "MUST",
        "drop an I1 below 16 octets in silence",
        SHORT,
        "core/requirements > a message too short for its type is dropped in silence: %s",
      ),
      done(
        "must",
        "answer with R1 and keep no state",
        "core/establishment > the responder keeps nothing until I2 proves the validator",
      ),
      done("must", "answer a repeated I1 in ESTABLISHED with R2", AGAIN),
      done(
        "must",
        "answer with R1 in ESTABLISHED when locator or tag are others",
        "core/establishment > a peer that has lost its context makes it anew with a new tag, and the old one is replaced",
        "core/requirements > I1 in ESTABLISHED from an unknown locator gets R1",
      ),
      chosen(
        "must",
        "answer with R2 while an exchange of ours is under way",
        "our decision: only to a locator where the peer is known to be, else with R1; a stranger got our tag otherwise",
        BOTH_CROSS,
        CROSSING,
        `${HOSTILE} > an I1 is answered with R2, and so with our tag, only where the peer is > a stranger who names our ULIDs while we wait learns no tag`,
      ),
    ],
  },
  {
    rfc: 5533,
    number: "7.10.1",
    title: "Generating the R1 Validator",
    requirements: [
      chosen(
        "must",
        "make validators that only this host can make",
        "our decision: keyed hash over nonce, tag, ULIDs, locators and FII, without the initiator nonce",
        BINDS,
      ),
    ],
  },
  {
    rfc: 5533,
    number: "7.11",
    title: "Receiving R1 Messages and Sending I2 Messages",
    requirements: [
      done(
        "MUST",
        "drop an R1 below 16 octets, or without validator, in silence",
        SHORT,
        "core/requirements > an R1 without a validator is dropped in silence",
      ),
      done("must", "give nonce and validator of R1 back in I2", ECHO),
      done(
        "MUST",
        "drop an R1 after I2 has left",
        "core/requirements > a second R1 is dropped in silence",
      ),
      done("MUST", "tell the ULID pair", EXCHANGE, I2_ULIDS),
      done("MUST", "repeat the ULID Pair option of I1", I2_ULIDS),
      done(
        "MUST",
        "name the FII when it isn't zero",
        "core/forks > I1 and I2 name the Forked Instance Identifier; both ends have two contexts then",
        "core/forks > a peer that lost a fork gets it back with its identifier",
      ),
      done(
        "must",
        "send the CGA parameters with a locator list",
        "core/proofs > locators proven by CGA > %s has the parameters with the list, and the signature",
        "core/proofs > a set is told with its parameters, believed without any signature, and serves",
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
    number: "7.12",
    title: "Retransmitting I2 Messages",
    requirements: [
      done("MAY", "repeat I2, backing off with jitter", LOST_R2),
      done(
        "SHOULD",
        "go back to I1 after that",
        AGAIN,
        "core/establishment > a peer that never answers I2 costs five I1 at most",
      ),
    ],
  },
  {
    rfc: 5533,
    number: "7.13",
    title: "Receiving I2 Messages",
    requirements: [
      done(
        "MUST",
        "drop an I2 below 24 octets in silence",
        SHORT,
        "core/requirements > a message too short for its type is dropped in silence: %s",
      ),
      done(
        "SHOULD",
        "take nonces up to VALIDATOR_MIN_LIFETIME old",
        RECENT,
        "core/establishment > a validator older than two periods is refused",
      ),
      done("must", "drop an I2 with a wrong validator in silence", WRONG_VALIDATOR),
      done(
        "MUST",
        "check that CGA parameters are those of ULID(peer)",
        "core/proofs > what an attacker tells > parameters of another set in %s: silence, and nothing is taken",
      ),
      chosen(
        "SHOULD",
        "verify the list when a context is made",
        'until HBA and CGA are there, a list without proof is refused in mode "verified"',
        VERIFIED,
      ),
      done("must", "drop an I2 from an address in no list", STRANGE_SOURCE),
      done(
        "MUST",
        "adopt and answer R2 in I1-SENT",
        "core/establishment > with the first message of every kind lost, crossing attempts still agree",
      ),
      chosen(
        "SHOULD",
        "verify the list before adopting it",
        'until HBA and CGA are there, a list without proof is refused in mode "verified"',
        VERIFIED,
      ),
      done(
        "MUST",
        "adopt and answer R2 in ESTABLISHED, I2-SENT and I2BIS-SENT",
        LOST_R2,
        "core/establishment > with the first message of every kind lost, crossing attempts still agree",
      ),
      chosen("SHOULD", "verify the list before adopting it there too", "as in I1-SENT", VERIFIED),
    ],
  },
  {
    rfc: 5533,
    number: "7.14",
    title: "Sending R2 Messages",
    requirements: [
      done(
        "MUST",
        "look for confusion before R2 leaves",
        "core/requirements > confusion is found before R2 leaves",
      ),
    ],
  },
  {
    rfc: 5533,
    number: "7.15",
    title: "Match for Context Confusion",
    requirements: [
      done(
        "MUST",
        "look for confusion when I2, I2bis or R2 comes",
        CONFUSION,
        "core/requirements > confusion is found before R2 leaves",
      ),
      done("MUST NOT", "send with the old context", CONFUSION),
      done("MAY", "discard the old context", CONFUSION),
      notApplicable(
        "MAY",
        "establish the old context anew",
        "we discard it; the trigger makes a new one",
      ),
      done("MUST NOT", "keep two such contexts established", CONFUSION),
    ],
  },
  {
    rfc: 5533,
    number: "7.16",
    title: "Receiving R2 Messages",
    requirements: [
      done(
        "MUST",
        "drop an R2 below 16 octets in silence",
        SHORT,
        "core/requirements > a message too short for its type is dropped in silence: %s",
      ),
      done(
        "MUST",
        "check that CGA parameters are those of ULID(peer)",
        "core/proofs > what an attacker tells > parameters of another set in %s: silence, and nothing is taken",
      ),
      chosen(
        "SHOULD",
        "verify the list",
        'until HBA and CGA are there, a list without proof is refused in mode "verified"',
        VERIFIED,
      ),
      done("MUST", "look for confusion", CONFUSION),
      chosen(
        "must",
        "find the context of an R2",
        "our decision: by initiator nonce and locators; it proves the pair that our message went over, not its own",
        EXCHANGE,
        `${HOSTILE} > an R2 shows where our I1, I2 or I2bis came, and not where it came from itself > an R2 to %s from a victim moves nothing`,
      ),
    ],
  },
];
