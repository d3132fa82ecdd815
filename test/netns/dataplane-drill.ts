import { describe, expect, test } from "vitest";
import { type DataPlane, DRILL_LEASE } from "../../src/dataplane/dataplane.ts";
import { encodeControl } from "../../src/wire/control.ts";
import type { ContextTag } from "../../src/wire/tag.ts";
import { until } from "./support/namespaces.ts";
import type { PlaneLab } from "./support/plane-lab.ts";
import type { RecordedEvents } from "./support/recorded-events.ts";

/** Two hosts with open planes, which have each a context for their ULIDs once that is wanted. */
interface PlanePair {
  readonly lab: PlaneLab;
  readonly a: DataPlane;
  readonly b: DataPlane;
  readonly atA: RecordedEvents;
  readonly atB: RecordedEvents;
  readonly tagOfA: ContextTag;
  setContexts(): void;
  /** Maps both directions to the second path. */
  switchBoth(): Promise<void>;
}

/** What {@link DataPlane.drill} does to real packets. */
export function describeDrill(planes: () => PlanePair): void {
  describe("a drill of an uplink", () => {
    /** Renewed in good time. */
    async function whileDrilled(name: string, use: () => Promise<void>): Promise<void> {
      const { a, lab } = planes();
      const link = Number(await lab.a.run("cat", `/sys/class/net/${name}/ifindex`));
      const renew = (): Promise<void> => a.drill({ interface: name, link });
      await renew();
      const renewal = setInterval(() => void renew(), DRILL_LEASE / 8);
      try {
        await use();
      } finally {
        clearInterval(renewal);
        await a.drill(undefined);
      }
    }

    test("loses the payload of contexts there in silence, and nothing else", async () => {
      const { a, tagOfA, lab, setContexts } = planes();
      setContexts();
      await whileDrilled("isp1", async () => {
        expect(await lab.b.ping(lab.a, 2)).toBe(0);
        expect(a.traffic(tagOfA)).toMatchObject({ packetsOut: 0, packetsIn: 0 });
        expect(await lab.a.ping(lab.b, 2)).toBe(0);
        expect(a.traffic(tagOfA)).toMatchObject({ packetsOut: 2, packetsIn: 0 });
        const others = ["-6", "-c1", "-W2", "-I", lab.a.ulid, lab.b.locator];
        expect(await lab.a.run("ping", ...others)).toContain("1 received");
      });
      expect(await lab.a.ping(lab.b, 1)).toBe(1);
      expect((await lab.a.state()).join()).not.toContain("drill");
    });

    test("loses rewritten payload and control messages there, both ways", async () => {
      const { a, b, atA, atB, tagOfA, lab, switchBoth } = planes();
      const tags = { receiverContextTag: tagOfA, options: [] };
      const message = encodeControl({ type: "Keepalive", ...tags });
      await switchBoth();
      await whileDrilled("isp2", async () => {
        a.sendControl(lab.a.locator, lab.b.locator, message);
        b.sendControl(lab.b.locator, lab.a.locator, message);
        expect(await lab.a.ping(lab.b, 2)).toBe(0);
        // By the other uplink they arrive, and those before them would have, too.
        a.sendControl(lab.a.ulid, lab.b.ulid, message);
        b.sendControl(lab.b.ulid, lab.a.ulid, message);
        await until("both messages", () => atA.controls.length + atB.controls.length >= 2);
      });
      expect(atA.controls.map(({ destination }) => destination)).toEqual([lab.a.ulid]);
      expect(atB.controls.map(({ destination }) => destination)).toEqual([lab.b.ulid]);
      expect(await lab.a.ping(lab.b, 1)).toBe(1);
    });
  });
}
