import { afterEach, beforeEach, expect, test } from "vitest";
import { expectTraffic, startNfqueueProcess } from "./support/nfqueue-process.ts";
import { PlaneLab } from "./support/plane-lab.ts";

let lab: PlaneLab;

beforeEach(async () => {
  lab = await PlaneLab.create();
});

afterEach(async () => {
  await lab.destroy();
});

test("after the nfqueue plane was killed, with a mapping of any age, plain IPv6 flows again by the ULID's uplink", async () => {
  const planes = [
    await startNfqueueProcess(lab, lab.a, true),
    await startNfqueueProcess(lab, lab.b, true),
  ];
  // Longer than the route of the ULID pair lives without its plane.
  await new Promise((resolve) => setTimeout(resolve, 17_000));
  await lab.withoutFirstPath(async () => expect(await lab.a.ping(lab.b, 5)).toBe(5));
  for (const plane of planes) await plane.stop("SIGKILL");
  const killed = performance.now();
  while ((await lab.a.ping(lab.b, 1)) === 0 && performance.now() - killed < 25_000);
  await expectTraffic(lab);
});
