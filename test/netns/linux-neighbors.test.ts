import { expect, test } from "vitest";
import { NeighborWatch } from "../../src/linux/neighbor-watch.ts";
import { until, withVethPair } from "./support/namespaces.ts";

test("a neighbor that does not answer is told, by its link, others are not", async () => {
  await withVethPair(async (left) => {
    const [eth0] = JSON.parse(await left.run("ip", "-j", "link", "show", "eth0")) as {
      ifindex: number;
    }[];
    const told: unknown[] = [];
    const watch = left.enter(
      () =>
        new NeighborWatch({
          unreachable: (link, neighbor) => told.push([link, neighbor]),
          failed: (error) => told.push(error),
        }),
    );
    try {
      await left.ip6("neighbor replace fe80::1 dev eth0 lladdr 02:00:00:00:00:01 nud reachable");
      await left.ip6("neighbor replace fe80::2 dev eth0 lladdr 02:00:00:00:00:02 nud stale");
      await left.ip6("neighbor replace fe80::3 dev eth0 lladdr 02:00:00:00:00:03 nud reachable");
      await left.ip6("neighbor change fe80::3 dev eth0 nud failed");
      await until("the failed neighbor is told", () => told.length > 0);
      expect(told).toEqual([[eth0?.ifindex, "fe80::3"]]);
    } finally {
      watch.close();
    }
  });
});
