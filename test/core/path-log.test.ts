import { describe, expect, test } from "vitest";
import type { AddressPair } from "../../src/core/output.ts";
import { inboundState, outboundState, PathLog } from "../../src/core/path-log.ts";
import { instant } from "../../src/core/time.ts";
import type { Address } from "../../src/wire/address.ts";
import type { Probe } from "../../src/wire/message.ts";
import type { ContextTag } from "../../src/wire/tag.ts";

const PAIR = { local: "2001:db8:1::a" as Address, peer: "2001:db8:1::b" as Address };
const OTHER = { local: "2001:db8:2::a" as Address, peer: "2001:db8:2::b" as Address };

/** A probe of ours (or, with the ends exchanged, the peer's). */
function probeOf(
  { local: source, peer: destination }: AddressPair,
  nonce: number,
  said: Partial<Probe> = {},
): Probe {
  return {
    ...{ type: "Probe", receiverContextTag: 1n as unknown as ContextTag, state: "exploring" },
    sentProbes: [{ source, destination, nonce, data: 0 }],
    ...{ receivedProbes: [], options: [], ...said },
  };
}

function exchanged({ local, peer }: AddressPair): AddressPair {
  return { local: peer, peer: local };
}

/** How the pair stands in both directions at this many ms. */
function statesOf(log: PathLog, at: number, pair = PAIR): readonly [string, string] {
  const path = log.view(pair);
  return [outboundState(instant(at), path), inboundState(path)];
}

describe("what is known of a locator pair", () => {
  test("is nothing at first", () => {
    expect(statesOf(new PathLog(), 0)).toEqual(["unverified", "unverified"]);
  });

  test("a probe is under way for a second; one without answer alone proves nothing", () => {
    const log = new PathLog();
    log.noteSent(instant(0), PAIR, probeOf(PAIR, 1));
    expect(statesOf(log, 900)).toEqual(["probing", "unverified"]);
    expect(statesOf(log, 1_000)).toEqual(["unverified", "unverified"]);
  });

  test("two probes without answer say that ours do not arrive", () => {
    const log = new PathLog();
    log.noteSent(instant(0), PAIR, probeOf(PAIR, 1));
    log.noteSent(instant(500), PAIR, probeOf(PAIR, 2));
    expect(statesOf(log, 1_500)).toEqual(["dead", "unverified"]);
  });

  test("a report confirms our direction of the pair that the probe took, with its round trip", () => {
    const log = new PathLog();
    log.noteSent(instant(0), PAIR, probeOf(PAIR, 1));
    const receivedProbes = probeOf(PAIR, 1).sentProbes;
    log.noteReceived(instant(40), OTHER, probeOf(exchanged(OTHER), 9, { receivedProbes }));
    expect(statesOf(log, 50)).toEqual(["confirmed", "unverified"]);
    expect(statesOf(log, 50, OTHER)).toEqual(["unverified", "confirmed"]);
    expect(log.view(PAIR).roundTrip).toBe(40);
  });

  test("a late report counts for the probe that it names, not for those after it", () => {
    const log = new PathLog();
    log.noteSent(instant(0), PAIR, probeOf(PAIR, 1));
    log.noteSent(instant(500), PAIR, probeOf(PAIR, 2));
    const receivedProbes = probeOf(PAIR, 1).sentProbes;
    log.noteReceived(instant(600), OTHER, probeOf(exchanged(OTHER), 9, { receivedProbes }));
    expect(log.view(PAIR)).toMatchObject({ roundTrip: 600, out: { lost: 1 } });
    expect(statesOf(log, 600)).toEqual(["probing", "unverified"]);
    expect(statesOf(log, 1_500)).toEqual(["confirmed", "unverified"]);
  });

  test("what the peer says that it sent and that has not come was lost", () => {
    const log = new PathLog();
    const { sentProbes: earlier } = probeOf(exchanged(PAIR), 7);
    const { sentProbes: itself } = probeOf(exchanged(OTHER), 8);
    const probe = probeOf(exchanged(OTHER), 8, { sentProbes: [...itself, ...earlier] });
    log.noteReceived(instant(10), OTHER, probe);
    log.noteReceived(instant(20), OTHER, probe);
    expect(log.view(PAIR).in.lost).toBe(1);
    expect(statesOf(log, 20)).toEqual(["unverified", "dead"]);
    log.noteReceived(instant(30), PAIR, probeOf(exchanged(PAIR), 10));
    expect(statesOf(log, 30)).toEqual(["unverified", "confirmed"]);
  });

  test("a failure in use holds until a probe comes through again", () => {
    const log = new PathLog();
    log.noteProven(instant(0), PAIR);
    expect(statesOf(log, 0)).toEqual(["confirmed", "confirmed"]);
    log.noteFailure(instant(10), PAIR);
    expect(statesOf(log, 10)).toEqual(["dead", "dead"]);
    log.noteProven(instant(20), PAIR);
    expect(statesOf(log, 20)).toEqual(["confirmed", "confirmed"]);
  });

  test("a probe of a host for which all is well waits for no answer", () => {
    const log = new PathLog();
    log.noteSent(instant(0), PAIR, probeOf(PAIR, 1, { state: "operational" }));
    expect(statesOf(log, 1)).toEqual(["unverified", "unverified"]);
  });

  test("is forgotten where a peer names ever new locators", () => {
    const log = new PathLog();
    log.noteProven(instant(0), PAIR);
    for (let i = 0; i < 64; i += 1) {
      log.noteProven(instant(1), { ...PAIR, peer: `2001:db8:9::${i}` as Address });
    }
    expect(statesOf(log, 1)).toEqual(["unverified", "unverified"]);
  });
});
