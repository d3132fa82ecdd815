import { chosen, done, type Section } from "./row.ts";

const HOSTILE = "core/hostile-exchanges";
const VERIFIED =
  "core/establishment > mode verified believes no locator without proof, and offers none";
const SHORT = "wire/control > $type with 8 octets less is too short";
const RECENT =
  "core/parts > accepts its own for at least VALIDATOR_MIN_LIFETIME and at most twice that";
const REBOOT =
  "core/recovery > a peer that rebooted while packets are mapped gets its context and its session back";
const BACK_TO_I1 =
  "core/recovery > without an answer to I2bis the initiator goes back to I1, over what worked last";
const RECOVERY_OPTIONS =
  "core/requirements > I2bis carries validator, ULID pair and locators over a pair that isn't the ULIDs";

/** RFC 5533 sections 7.17 to 7.20. */
export const RECOVERY: readonly Section[] = [
  {
    rfc: 5533,
    number: "7.17",
    title: "Sending R1bis Messages",
    requirements: [
      done("must", "answer payload with an unknown tag by R1bis", REBOOT),
      done(
        "must",
        "answer messages of type 64 to 127 with an unknown tag by R1bis",
        "core/reap > a keepalive for a tag that nobody has is counted and answered by R1bis",
      ),
      done(
        "must",
        "give the tag, a nonce and a validator in it",
        "core/requirements > R1bis names the tag that it answers",
      ),
    ],
  },
  {
    rfc: 5533,
    number: "7.18",
    title: "Receiving R1bis Messages and Sending I2bis Messages",
    requirements: [
      done(
        "MUST",
        "drop an R1bis below 16 octets in silence",
        SHORT,
        "core/requirements > a message too short for its type is dropped in silence: %s",
      ),
      chosen(
        "must",
        "believe an R1bis only from the peer of the context",
        "our decision: on any pair of Ls, as probes run on all",
        "core/recovery > an R1bis for a tag that we don't use, or from elsewhere, changes nothing",
        `${HOSTILE} > a forged R1bis > in a victim's name sends it no more I2bis than unproven locators get`,
      ),
      done("MUST", "name the ULID pair when the addresses don't", RECOVERY_OPTIONS),
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
    number: "7.19",
    title: "Retransmitting I2bis Messages",
    requirements: [
      done(
        "MAY",
        "repeat I2bis, backing off with jitter",
        "core/requirements > I2bis goes out three times, backing off with jitter",
      ),
      done("SHOULD", "go back to I1 after that", BACK_TO_I1),
    ],
  },
  {
    rfc: 5533,
    number: "7.20",
    title: "Receiving I2bis Messages and Sending R2 Messages",
    requirements: [
      done(
        "MUST",
        "drop an I2bis below 32 octets in silence",
        SHORT,
        "core/requirements > a message too short for its type is dropped in silence: %s",
      ),
      done("SHOULD", "take nonces up to VALIDATOR_MIN_LIFETIME old", RECENT),
      done(
        "MUST",
        "check that CGA parameters are those of ULID(peer)",
        "core/proofs > what an attacker tells > parameters of another set in %s: silence, and nothing is taken",
      ),
      done(
        "SHOULD NOT",
        "take the old tag again",
        "core/requirements > I2bis makes a context with a new tag",
      ),
      chosen(
        "SHOULD",
        "verify the list when a context is made",
        'until HBA and CGA are there, a list without proof is refused in mode "verified"',
        VERIFIED,
      ),
      done(
        "MUST",
        "adopt and answer R2 in I1-SENT",
        "core/parts > leads to IDLE only by forgetting, and to ESTABLISHED only by adopting the peer's state",
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
        "core/requirements > an I2bis that comes again in ESTABLISHED gets R2 again",
      ),
      chosen("SHOULD", "verify the list before adopting it there too", "as in I1-SENT", VERIFIED),
    ],
  },
];
