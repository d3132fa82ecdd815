import { done, type Extension } from "./row.ts";

/** What we do beyond RFC 5533 and RFC 5534, and how it keeps to them. */
export const EXTENSIONS: readonly Extension[] = [
  {
    id: "detection",
    title: "Adaptive detection",
    page: "operations.md",
    requirements: [
      done(
        "must",
        "notice a silent failure long before the Send Timeout, which stays the outer bound",
        "core/suspicion > of a session that talks both ways is over within 0.6 s",
        "core/suspicion > of payload one way is over within 3 s",
      ),
      done(
        "must",
        "need nothing of the peer but RFC 5534",
        "core/suspicion > of a session with a peer that knows only RFC 5534 is over as soon",
      ),
      done(
        "must",
        "explore only once a probe of the current pair has no answer",
        "core/suspicion > costs one probe and its answer, and moves nothing",
        "core/suspicion > survives the loss of all but one of its probes",
        "sim/false-alarms > adaptive detection moves nothing on a path that lives, and probes less than one in a thousand",
      ),
      done(
        "must",
        "be as RFC 5534 has it where that is set",
        "core/suspicion > takes a Send Timeout where detection is as in RFC 5534",
      ),
    ],
  },
  {
    id: "fail-back",
    title: "Fail-back",
    page: "operations.md",
    requirements: [
      done(
        "must",
        "return to a better pair once it has been good for a hold time that grows with each failure",
        "core/fail-back > is returned to by both ends once it has been good for the hold time",
        "core/fail-back > has a hold time that doubles up to the longest, and a few switches in half an hour",
      ),
      done(
        "must",
        "ask it by probes of RFC 5534 that leave both ends Operational",
        "core/fail-back > is asked without disturbing anybody: no end leaves Operational, no payload is lost",
        "core/fail-back > is returned to beside a peer that knows of no such thing, which stays where it is",
      ),
      done(
        "must",
        "bound these probes over all contexts",
        "core/fail-back > share one budget of probes",
      ),
    ],
  },
  {
    id: "survey",
    title: "Surveys of all pairs (`l3shim ping`, `l3shim check PEER`)",
    page: "operations.md",
    requirements: [
      done(
        "must",
        "try each pair in both directions with probes, or with I1 where there is no context",
        "core/survey > each pair is tried there and back, and what they took is told",
        "core/survey > without a context strangers are asked, and keep no state",
      ),
      done(
        "must",
        "change neither pair nor state of a session, nor what it waits for",
        "core/survey > no session is moved by it, nor is its state",
        "core/survey > payload that waits for an answer goes on waiting, whatever other pairs say",
      ),
      done("must", "be bounded", "core/survey > one at a time for a context, sixteen in all"),
    ],
  },
  {
    id: "udp",
    title: "Shim6 in UDP",
    page: "encapsulation.md",
    requirements: [
      done(
        "must",
        "be agreed by an option that others pass over, both ways",
        "core/encapsulation > both ends take UDP: the context is there by its second I1, and plain payload stays plain",
      ),
      done(
        "must",
        "come after plain Shim6 where both work, and take over where only UDP does",
        "core/encapsulation > the session moves to UDP when its first path dies",
        "core/encapsulation > only the second path drops it: the session goes on there in UDP, and back to plain",
      ),
      done(
        "must",
        "hold for forks and for contexts that were lost",
        "core/encapsulation > a fork of a context in UDP is made in UDP",
        "core/encapsulation > the peer has forgotten the context: it is made anew in UDP",
      ),
      done(
        "must",
        "carry payload whole, with right checksums, on both data planes",
        "netns/dataplane-encapsulation > ping, TCP and UDP of all sizes go on, with right checksums",
      ),
    ],
  },
];
