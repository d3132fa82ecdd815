import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { AddressPair } from "../../src/core/output.ts";
import type { DataPlane, TriggerPolicy } from "../../src/dataplane/dataplane.ts";
import { onesComplementSum } from "../../src/wire/checksum.ts";
import { NEXT_HEADER_OFFSET, PROTOCOL_FRAGMENT, PROTOCOL_UDP } from "../../src/wire/ipv6.ts";
import { findPayloadHeader } from "../../src/wire/payload.ts";
import { contextTag } from "../../src/wire/tag.ts";
import { until } from "./support/namespaces.ts";
import { type LabHost, PlaneLab } from "./support/plane-lab.ts";
import { RecordedEvents } from "./support/recorded-events.ts";

/** A plane that takes Shim6 in UDP at this port. */
export type CreateEncapsulatingPlane = (
  host: LabHost,
  trigger: TriggerPolicy,
  udpPort: number,
) => DataPlane;

const PORT = 61_140;
const TRIGGER: TriggerPolicy = { packets: 20, age: undefined };
const TAG_OF_A = contextTag(0x1234_5678_9abc);
const TAG_OF_B = contextTag(0x7edc_ba98_7654);

/** What every data plane must do where the second path drops protocol 140. */
export function describeEncapsulation(name: string, create: CreateEncapsulatingPlane): void {
  describe(`the data plane ${name} in UDP`, () => {
    let lab: PlaneLab;
    let a: DataPlane;
    let b: DataPlane;
    let atA: RecordedEvents;
    let atB: RecordedEvents;

    beforeAll(async () => {
      lab = await PlaneLab.create();
      await lab.dropShim6("isp2");
    });

    afterAll(async () => {
      await lab.destroy();
    });

    beforeEach(async () => {
      atA = new RecordedEvents();
      atB = new RecordedEvents();
      a = create(lab.a, TRIGGER, PORT);
      b = create(lab.b, TRIGGER, PORT);
      await a.open(atA);
      await b.open(atB);
      const [fromA, fromB] = [lab.pairs(lab.a), lab.pairs(lab.b)];
      a.setContext(TAG_OF_A, fromA.ulids);
      b.setContext(TAG_OF_B, fromB.ulids);
      a.setMapping(TAG_OF_A, { ...encapsulated(fromA), peerTag: TAG_OF_B });
      b.setMapping(TAG_OF_B, { ...encapsulated(fromB), peerTag: TAG_OF_A });
    });

    afterEach(async () => {
      await a.close();
      await b.close();
      expect([...atA.failures, ...atB.failures]).toEqual([]);
    });

    async function onSecondPath(use: () => Promise<void>): Promise<void> {
      await lab.withoutFirstPath(async () => {
        let answered = 0;
        for (let i = 0; i < 50 && answered === 0; i++) answered = await lab.a.ping(lab.b, 1);
        expect(answered).toBe(1);
        await use();
      });
    }

    function traffic(kind: "tcp" | "udp", octets: number, count = 1): Promise<string> {
      return lab.a.traffic(kind, lab.a.ulid, lab.b.ulid, octets, count).result();
    }

    test("ping, TCP and UDP of all sizes go on, with right checksums", async () => {
      await onSecondPath(async () => {
        const packets = await lab.capture(lab.router("isp2"), "a", `udp port ${PORT}`, async () => {
          expect(await traffic("udp", 1400, 3)).toContain("intact");
          expect(await traffic("udp", 4000, 3)).toContain("intact");
        });
        expect(packets.length).toBeGreaterThan(10);
        for (const packet of packets) {
          expect(packet[NEXT_HEADER_OFFSET]).toBe(PROTOCOL_UDP);
          expect(findPayloadHeader(packet, PORT)).toMatchObject({ value: { encapsulated: true } });
          expect(packet.length).toBeLessThanOrEqual(1500);
        }
        // Fragments leave by a socket, and the lab's links never complete its checksum.
        const whole = packets.filter((packet) => !isFragment(packet));
        expect(whole.map(udpSum)).toEqual(whole.map(() => 0xffff));
        expect(await traffic("tcp", 2_000_000)).toContain("intact");
      });
    });

    test("a smaller MTU on the way reaches TCP and UDP", async () => {
      await onSecondPath(async () => {
        const router = lab.router("isp2");
        const routes = ["2001:db8:2:a::/64 dev a", "2001:db8:2:b::/64 dev b"];
        for (const route of routes) await router.ip6(`route add ${route} metric 1 mtu 1400`);
        try {
          // The first datagram of each direction is lost on finding out.
          await expect(traffic("udp", 1390)).rejects.toThrow();
          await expect(traffic("udp", 1390)).rejects.toThrow();
          expect(await traffic("udp", 1390, 2)).toContain("intact");
          expect(await traffic("tcp", 2_000_000)).toContain("intact");
        } finally {
          for (const route of routes) await router.ip6(`route del ${route} metric 1`);
        }
      });
    });

    test("control messages go either way, in UDP, and are no payload", async () => {
      const bytes = Uint8Array.of(59, 0, 1, 0, 0, 0, 0, 0);
      const before = b.traffic(TAG_OF_B)?.packetsIn;
      a.sendControl(lab.a.locator, lab.b.locator, bytes, true);
      await until("the control message", () => atB.controls.length === 1);
      expect(atB.controls).toMatchObject([{ source: lab.a.locator, encapsulated: true }]);
      b.sendControl(lab.b.locator, lab.a.locator, bytes, true);
      await until("the answer", () => atA.controls.length === 1);
      expect(b.traffic(TAG_OF_B)?.packetsIn).toBe(before);
    });

    test("payload whose tag no context has is dropped and reported as from UDP", async () => {
      b.clearContext(TAG_OF_B);
      await lab.a.ping(lab.b, 1);
      await until("the report", () => atB.unknownTags.length > 0);
      expect(atB.unknownTags[0]).toMatchObject({ tag: TAG_OF_B, encapsulated: true });
    });
  });
}

function encapsulated<Pairs extends { readonly locators: AddressPair }>(pairs: Pairs): Pairs {
  return { ...pairs, locators: { ...pairs.locators, encapsulated: true } };
}

function isFragment(packet: Uint8Array): boolean {
  const found = findPayloadHeader(packet, PORT);
  return found.ok && found.value.nextHeader === PROTOCOL_FRAGMENT;
}

/** With the pseudo-header: 0xffff when the checksum is right. */
function udpSum(packet: Uint8Array): number {
  const pseudo = onesComplementSum(packet, 8, 40) + packet.length - 40 + PROTOCOL_UDP;
  return onesComplementSum(packet, 40, packet.length, pseudo);
}
