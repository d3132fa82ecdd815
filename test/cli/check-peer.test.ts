import { afterEach, beforeEach, expect, test } from "vitest";
import type { AddressPair } from "../../src/core/output.ts";
import type { Finding, PeerSurvey } from "../../src/daemon/api.ts";
import type { Address } from "../../src/wire/address.ts";
import { A1, A2, B1, B2, networkOf, Workshop } from "../daemon/fixture.ts";
import { l3shim, type Run } from "./capture.ts";
import { disturb, run } from "./virtual.ts";

let workshop: Workshop;

beforeEach(() => {
  workshop = new Workshop();
});

afterEach(() => workshop.close());

function idsOf({ stdout }: Run): string[] {
  const { findings } = JSON.parse(stdout) as { findings: Finding[] };
  return findings
    .filter(({ severity }) => severity !== "info")
    .map(({ id, subject }) => `${id} ${subject}`);
}

function isPair(local: Address, peer: Address): (pair: AddressPair) => boolean {
  return (pair) => pair.local === local && pair.peer === peer;
}

test("a peer that all pairs lead to is no problem", async () => {
  const [a] = await workshop.createPair();
  const { status, stdout } = await run(a, "check", B1);
  expect(status).toBe(0);
  expect(stdout).toMatchInlineSnapshot(`
    "Note (packets-in-user-space): Packets of sessions that have moved pass through the daemon: the daemon's log names what the other one lacks.
      Nothing has to be done; the data plane in the kernel takes less of the processor.

    Note (unverified): security is unverified: peers' locators are believed without proof.

    PAIR                             SHIM6 THERE  AND BACK  ROUND TRIP  ECHO      LONGEST PACKET
    2001:db8:a1::a > 2001:db8:b1::b  passes       passes    0.0 ms      answered  1500
    2001:db8:a1::a > 2001:db8:b2::b  passes       passes    0.0 ms      answered  1500
    2001:db8:a2::a > 2001:db8:b1::b  passes       passes    0.0 ms      answered  1500
    2001:db8:a2::a > 2001:db8:b2::b  passes       passes    0.0 ms      answered  1500

    A path that dies in silence: noticed within 11 s, and the last of 4 pairs of locators tried 1.5 s later, at most.

    No problem found.
    "
  `);
});

test("--json has the findings, and what came of each pair", async () => {
  const [a, b] = await workshop.createPair();
  disturb([a, b], (from, to) => from === B2 && to === A1);
  const result = await run(a, "check", B1, "--json");
  expect(result.status).toBe(4);
  const { survey } = JSON.parse(result.stdout) as { survey: PeerSurvey };
  expect(survey).toMatchObject({ localUlid: A1, peerUlid: B1, context: expect.any(String) });
  expect(survey.pairs.find((pair) => pair.peerLocator === B2)).toMatchInlineSnapshot(`
    {
      "back": false,
      "echo": {
        "answered": true,
        "size": 1500,
        "sizePasses": true,
      },
      "localLocator": "2001:db8:a1::a",
      "peerLocator": "2001:db8:b2::b",
      "probesReported": 3,
      "probesSent": 3,
      "refused": false,
      "roundTrips": [],
      "sent": 3,
      "there": true,
    }
  `);
});

test("protocol 140 that is dropped on a path is told from a dead path, and its way", async () => {
  const [a, b] = await workshop.createPair();
  disturb(
    [a, b],
    (from, to) =>
      (from === A1 && to === B2) || (from === B1 && to === A2) || (from === A2 && to === B2),
  );
  a.echoes.passes = (pair) => !isPair(A2, B2)(pair);
  const result = await run(a, "check", B1, "--json");
  expect(idsOf(result)).toEqual([
    `protocol-140-dropped ${A1} > ${B2}`,
    `protocol-140-dropped ${A2} > ${B1}`,
    `path-dead ${A2} > ${B2}`,
  ]);
  const { findings } = JSON.parse(result.stdout) as { findings: Finding[] };
  const sentence = (pair: string) => findings.find(({ subject }) => subject === pair)?.sentence;
  expect(sentence(`${A1} > ${B2}`)).toContain("drops protocol 140 on the way there");
  expect(sentence(`${A2} > ${B1}`)).toContain("drops protocol 140 on the way back");
});

test("a context shows what was found, until it closes", async () => {
  const { a, b, tag } = await workshop.establish();
  disturb([a, b], (from, to) => from === A1 && to === B2);
  await run(a, "check", B1);
  const { stdout } = await run(a, "context", tag);
  expect(stdout.replace(/.*\nTried .* ago:/s, "Tried AGE:")).toMatchInlineSnapshot(`
    "Tried AGE:
    PAIR                             SHIM6 THERE  AND BACK   ROUND TRIP  ECHO      LONGEST PACKET
    2001:db8:a1::a > 2001:db8:b1::b  passes       passes     0.0 ms      answered  1500
    2001:db8:a1::a > 2001:db8:b2::b  dropped      not known  -           answered  1500
    2001:db8:a2::a > 2001:db8:b1::b  passes       passes     0.0 ms      answered  1500
    2001:db8:a2::a > 2001:db8:b2::b  passes       passes     0.0 ms      answered  1500
    "
  `);
});

test("long packets that get lost without a word are a black hole; a shorter path is none", async () => {
  const [a] = await workshop.createPair();
  let known = 1500;
  a.echoes.mtuOf = (pair) => (isPair(A1, B1)(pair) ? 1500 : known);
  a.echoes.passes = (_, size) => {
    // Packet Too Big comes back by all paths but one.
    if (size > 1400) known = 1400;
    return size <= 1400;
  };
  const result = await run(a, "check", B1, "--json");
  expect(result.status).toBe(4);
  expect(idsOf(result)).toEqual([`mtu-black-hole ${A1} > ${B1}`]);
});

test("a peer that answers echoes alone is said to drop the protocol, once", async () => {
  const [a, b] = await workshop.createPair();
  disturb([a, b], () => true);
  const result = await run(a, "check", B1, "--json");
  expect(result.status).toBe(4);
  expect(idsOf(result)).toEqual([`protocol-140-dropped ${B1}`]);
});

test("a path of the ULIDs that drops the protocol keeps a context from being established", async () => {
  const [a, b] = await workshop.createPair();
  disturb([a, b], (from, to) => from === A1 && to === B1);
  const result = await run(a, "check", B1, "--json");
  expect(idsOf(result)).toEqual([`protocol-140-dropped ${A1} > ${B1}`]);
});

test("a peer that answers nothing is unreachable", async () => {
  const [a, b] = await workshop.createPair();
  disturb([a, b], () => true);
  a.echoes.passes = () => false;
  expect(idsOf(await run(a, "check", B1, "--json"))).toEqual([`peer-unreachable ${B1}`]);
});

test("what source routing explains is said once", async () => {
  const [a, b] = await workshop.createPair();
  disturb([a, b], (from, to) => from === A2 || to === A2);
  a.echoes.passes = ({ local }) => local !== A2;
  a.egress.set(A2, 1);
  expect(idsOf(await run(a, "check", B1, "--json"))).toEqual([`no-source-routing ${A2}`]);
});

test("a check with a peer takes a daemon, and a name that has an address", async () => {
  const alone = await l3shim("check", B1, "--socket", `${workshop.directory}/nobody.sock`);
  expect(alone.status).toBe(3);
  const a = workshop.create("a", networkOf(A1, A2));
  const unknown = await run(a, "check", "nobody.invalid");
  expect(unknown.status).toBe(2);
  expect(unknown.stderr).toContain('"nobody.invalid" is no IPv6 address');
});
