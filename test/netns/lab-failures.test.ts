import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describeFailure, type Failure, inject } from "../../src/lab/failure.ts";
import { Network } from "../../src/lab/network.ts";
import { inNamespace, poll, tryRun } from "../../src/lab/shell.ts";
import { PAPER_TOPOLOGY } from "../../src/lab/topology.ts";

const ULID_A = "2001:db8:1:a::1";
const ULID_B = "2001:db8:1:b::1";

/** Each with a ping that it must stop: from, source, destination. */
const FAILURES: readonly (readonly [Failure, from: string, source: string, to: string])[] = [
  [{ kind: "silent-loss", isp: "isp1", direction: "both" }, "a", ULID_A, ULID_B],
  [{ kind: "silent-loss", isp: "isp1", host: "a", direction: "both" }, "a", ULID_A, ULID_B],
  [{ kind: "silent-loss", isp: "isp1", host: "a", direction: "to-host" }, "b", ULID_B, ULID_A],
  [{ kind: "silent-loss", isp: "isp1", host: "a", direction: "from-host" }, "b", ULID_B, ULID_A],
  [{ kind: "link-down", host: "a", isp: "isp1" }, "b", ULID_B, ULID_A],
  [{ kind: "carrier-lost", host: "a", isp: "isp1" }, "b", ULID_B, ULID_A],
  [{ kind: "interface-removed", host: "a", isp: "isp1" }, "b", ULID_B, ULID_A],
  [{ kind: "address-deleted", host: "a", isp: "isp1" }, "b", ULID_B, ULID_A],
  [{ kind: "router-dead", isp: "isp1" }, "a", ULID_A, ULID_B],
];

describe("failures between hosts on plain IPv6", () => {
  let network: Network;

  beforeAll(async () => {
    network = await Network.create(PAPER_TOPOLOGY);
  });

  afterAll(async () => {
    await network.destroy();
  });

  async function reaches(from: string, source: string, to: string): Promise<boolean> {
    const ping = ["ping", "-6", "-c1", "-W1", "-I", source, to];
    return (await tryRun(inNamespace(network.namespace(from), ping))).code === 0;
  }

  for (const [failure, from, source, to] of FAILURES) {
    test(`${describeFailure(failure)}, until healed`, async () => {
      expect(await reaches(from, source, to)).toBe(true);
      const { heal } = await inject(network, failure);
      expect(await reaches(from, source, to)).toBe(false);
      await heal();
      const back = await poll(async () => (await reaches(from, source, to)) || undefined, {
        timeout: 10_000,
      });
      expect(back).toBe(true);
    });
  }

  test("loss in one direction leaves the other direction alone", async () => {
    const { heal } = await inject(network, {
      ...{ kind: "silent-loss", isp: "isp1", host: "a", direction: "from-host" },
    });
    const script = ["tcpdump", "-i", "isp1", "-c1", "-n", "icmp6 and ip6[40] == 128"];
    const seen = tryRun(["timeout", "10", ...inNamespace(network.namespace("a"), script)]);
    await poll(async () => (await reaches("b", ULID_B, ULID_A)) || undefined, { timeout: 3_000 });
    expect((await seen).stdout).toContain(`${ULID_B} > ${ULID_A}`);
    await heal();
  });
});
