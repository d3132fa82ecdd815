import { chosen, done, notApplicable, type Section } from "./row.ts";

const RESERVED = "wire/control > $type is ignorant of what is reserved";
const LAYOUT = "wire/control > $type is laid out as the RFC draws it";
const ULID_PAIR =
  "core/recovery > without an answer to I2bis the initiator goes back to I1, over what worked last";
const RECOVERY_OPTIONS =
  "core/requirements > I2bis carries validator, ULID pair and locators over a pair that isn't the ULIDs";
const EXCHANGE =
  "core/establishment > I1, R1, I2, R2 lead to ESTABLISHED on both ends with each other's tags and locators";

/** RFC 5533 sections 4 to 6: overview, formats, concepts. */
export const FORMATS: readonly Section[] = [
  {
    rfc: 5533,
    number: "4",
    title: "Protocol Overview",
    requirements: [
      done(
        "must",
        "look for another working pair when the current one fails",
        "core/reap > payload flows again after Send Timeout plus one exchange, tagged, on the other locators",
      ),
    ],
  },
  {
    rfc: 5533,
    number: "4.2",
    title: "Context Forking",
    requirements: [
      done(
        "MAY",
        "let an ULP split a ULID pair into contexts with locator pairs of their own",
        "core/forks > what the fork selects leaves on its own pair, all else on the default's",
        "netns/dataplane-compliance > what it selects takes the second path with its tag, all else the first without",
      ),
      chosen(
        "must",
        "fork for the sender's direction only",
        "our decision: a fork keeps the payload header even between the ULIDs",
        "core/forks > forking is for one direction; the peer may select for the other",
        "core/forks > a fork keeps the payload header between the ULIDs, or it counted as the default's",
      ),
    ],
  },
  {
    rfc: 5533,
    number: "5.1",
    title: "Common Shim6 Message Format",
    requirements: [
      done(
        "must",
        "keep control messages within 1280 octets",
        "core/proofs > what doesn't fit into 1280 octets is left out, and the list still verifies",
        "core/updates > an Error for a message of 2 kB stays within 1280 octets",
      ),
    ],
  },
  {
    rfc: 5533,
    number: "5.2",
    title: "Shim6 Payload Extension Header Format",
    requirements: [
      done(
        "must",
        "give the ULP the ULIDs back before it sees the packet",
        "wire/payload > is undone by its reverse, whatever the extension headers",
      ),
    ],
  },
  {
    rfc: 5533,
    number: "5.3",
    title: "Common Shim6 Control Header",
    requirements: [done("must", "make control headers a multiple of 8 octets", LAYOUT)],
  },
  {
    rfc: 5533,
    number: "5.4",
    title: "I1",
    requirements: [
      done("MUST", "ignore Reserved1", RESERVED),
      done("MUST", "ignore Reserved2", RESERVED),
      done("MUST", "name the ULID pair when the addresses don't", ULID_PAIR),
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
    number: "5.5",
    title: "R1",
    requirements: [
      done("MUST", "ignore Reserved1", RESERVED),
      done("MUST", "ignore Reserved2", RESERVED),
      done(
        "MUST",
        "carry a Responder Validator",
        "core/requirements > R1 and R1bis carry a Responder Validator, and I2 gives it back",
      ),
    ],
  },
  {
    rfc: 5533,
    number: "5.6",
    title: "I2",
    requirements: [
      done("MUST", "ignore the three reserved fields", RESERVED),
      done(
        "MUST",
        "carry the Responder Validator",
        "core/requirements > R1 and R1bis carry a Responder Validator, and I2 gives it back",
      ),
      done(
        "MUST",
        "copy that validator from R1",
        "core/requirements > R1 and R1bis carry a Responder Validator, and I2 gives it back",
      ),
      done(
        "MUST",
        "name the ULID pair when the addresses don't",
        "core/requirements > I2 over a pair that isn't the ULIDs names the ULID pair",
      ),
      done(
        "MUST",
        "name the FII when it isn't zero",
        "core/forks > I1 and I2 name the Forked Instance Identifier; both ends have two contexts then",
        "core/forks > a peer that lost a fork gets it back with its identifier",
      ),
      done(
        "MUST",
        "send with a locator list what proves it",
        "core/proofs > locators proven by CGA > %s has the parameters with the list, and the signature",
        "core/proofs > a set is told with its parameters, believed without any signature, and serves",
      ),
      done(
        "MUST",
        "send the CGA parameters with a locator list",
        "core/proofs > locators proven by CGA > %s has the parameters with the list, and the signature",
        "core/proofs > a set is told with its parameters, believed without any signature, and serves",
      ),
      done(
        "MUST",
        "sign CGA locators",
        "core/proofs > locators proven by CGA > %s has the parameters with the list, and the signature",
      ),
    ],
  },
  {
    rfc: 5533,
    number: "5.7",
    title: "R2",
    requirements: [
      done("MUST", "ignore both reserved fields", RESERVED),
      done(
        "MUST",
        "send with a locator list what proves it",
        "core/proofs > locators proven by CGA > %s has the parameters with the list, and the signature",
        "core/proofs > a set is told with its parameters, believed without any signature, and serves",
      ),
    ],
  },
  {
    rfc: 5533,
    number: "5.8",
    title: "R1bis",
    requirements: [done("MUST", "ignore both reserved fields", RESERVED)],
  },
  {
    rfc: 5533,
    number: "5.9",
    title: "I2bis",
    requirements: [
      done("MUST", "ignore the three reserved fields", RESERVED),
      done("MUST", "name the ULID pair when the addresses don't", RECOVERY_OPTIONS),
      done(
        "MUST",
        "send with a locator list what proves it",
        "core/proofs > locators proven by CGA > %s has the parameters with the list, and the signature",
        "core/proofs > a set is told with its parameters, believed without any signature, and serves",
      ),
    ],
  },
  {
    rfc: 5533,
    number: "5.10",
    title: "Update Request",
    requirements: [done("MUST", "ignore both reserved fields", RESERVED)],
  },
  {
    rfc: 5533,
    number: "5.11",
    title: "Update Acknowledgement",
    requirements: [done("MUST", "ignore both reserved fields", RESERVED)],
  },
  {
    rfc: 5533,
    number: "5.14",
    title: "Error",
    requirements: [
      chosen(
        "must",
        "never answer an Error, so that two hosts don't talk errors for ever",
        "our decision: it has no tag, and gets neither R1bis nor Error",
        "core/updates > an Error is never answered",
      ),
      done(
        "must",
        "answer an unknown message type with code 0",
        "core/updates > a message of unknown type: Error 0 that points at the type",
      ),
    ],
  },
  {
    rfc: 5533,
    number: "5.15",
    title: "Option Formats",
    requirements: [
      done(
        "MUST",
        "pad each option to a multiple of 8 octets",
        "wire/options > of $length octets of contents follows RFC 5533 section 5.15",
      ),
      done(
        "MUST NOT",
        "count padding in Length",
        "wire/options > of $length octets of contents follows RFC 5533 section 5.15",
      ),
      done(
        "MUST",
        "pad with zeros",
        "wire/options > of $length octets of contents follows RFC 5533 section 5.15",
      ),
      done("SHOULD NOT", "look at padding on receipt", "wire/options > may be anything on receipt"),
      done(
        "MUST",
        "recognize what is marked critical, or refuse it",
        "core/updates > an unknown critical option: Error 1 that points at it, and the message is not processed",
      ),
      done(
        "SHOULD",
        "answer an unknown critical option with code 1 and a pointer to it",
        "core/updates > an unknown critical option: Error 1 that points at it, and the message is not processed",
      ),
      done(
        "MUST NOT",
        "process what else such a message says",
        "core/updates > an unknown critical option: Error 1 that points at it, and the message is not processed",
      ),
    ],
  },
  {
    rfc: 5533,
    number: "5.15.2",
    title: "Locator List",
    requirements: [
      chosen(
        "must",
        "number the verification methods as this section does",
        "our decision: HBA is 1 and CGA 2, against section 17; 201 stands for no proof",
        "core/parts > methods that need a proof, preferences of another generation or number, and long lists are refused",
      ),
    ],
  },
  {
    rfc: 5533,
    number: "5.15.3",
    title: "Locator Preferences",
    requirements: [
      chosen(
        "MUST",
        "keep flags, priority and weight first in longer elements",
        "what longer elements add is kept and not used",
        "wire/options > $name is laid out as the RFC draws it",
      ),
      chosen(
        "must",
        "have one element for each locator",
        "our decision: the number of elements is (Length - 5) / Element Len",
        "wire/options > need an Element Len that divides the elements",
        "core/updates > %s: Error %i, and nothing changes",
      ),
      chosen(
        "must",
        "give priority and weight the meaning of DNS SRV",
        "weights draw lots for the order of an exploration; without any the list's order holds",
        "core/reap > preferences decide among pairs of one kind",
        "core/parts > weights spread the first place over locators of one preference (RFC 2782)",
        "core/parts > weights and TRANSIENT reach the other end",
      ),
      chosen(
        "must",
        "tell less stable locators from stable ones by TRANSIENT",
        "they come after the stable ones of their priority",
        "core/parts > a transient locator comes after the stable ones of its preference",
        "core/parts > weights and TRANSIENT reach the other end",
      ),
    ],
  },
  {
    rfc: 5533,
    number: "5.15.5",
    title: "CGA Signature",
    requirements: [
      done(
        "MUST",
        "sign the locators in the order of the list",
        "core/proofs > are signed in the order of the list, and believed for the signature",
        "core/proofs > CGA locators with no signature, or another's: Error 2",
      ),
    ],
  },
  {
    rfc: 5533,
    number: "5.15.6",
    title: "ULID Pair",
    requirements: [
      done(
        "MUST",
        "tell the ULID pair in I1, I2 and I2bis, by the addresses or by the option",
        EXCHANGE,
        ULID_PAIR,
        RECOVERY_OPTIONS,
      ),
      done("MUST", "use the option whenever the addresses are others", ULID_PAIR, RECOVERY_OPTIONS),
      done(
        "MUST",
        "ignore the reserved field",
        "wire/options > reserved fields are ignored on receipt",
      ),
    ],
  },
  {
    rfc: 5533,
    number: "6.2",
    title: "Context STATES",
    requirements: [
      notApplicable("must", "store a state named IDLE", "IDLE is the absence of a context"),
    ],
  },
];
