import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { removeLeftovers } from "../../src/lab/leftovers.ts";
import { Network } from "../../src/lab/network.ts";
import { inNamespace, tryRun } from "../../src/lab/shell.ts";
import { PAPER_TOPOLOGY } from "../../src/lab/topology.ts";

describe("the paper's topology in namespaces", () => {
  let network: Network;

  beforeAll(async () => {
    network = await Network.create(PAPER_TOPOLOGY);
  }, 60_000);

  afterAll(async () => {
    await network.destroy();
  }, 60_000);

  async function ping(from: string, ...args: string[]): Promise<number> {
    const command = ["ping", "-6", "-c1", "-W1", ...args];
    return (await tryRun(inNamespace(network.namespace(from), command))).code;
  }

  test("A reaches B on their ULIDs over plain IPv6", async () => {
    expect(await ping("a", "2001:db8:1:b::1")).toBe(0);
  });

  test("A reaches C, which another ISP serves, through the core", async () => {
    expect(await ping("a", "2001:db8:2:c::1")).toBe(0);
  });

  test("ISP 1 drops what carries ISP 2's source address", async () => {
    const viaIsp1 = ["-I", "2001:db8:2:a::1", "2001:db8:1:b::1"];
    expect(await ping("a", ...viaIsp1)).not.toBe(0);
  });

  test("a host whose power was cut comes back as it was", async () => {
    await network.cutPower("b");
    expect(await ping("a", "2001:db8:1:b::1")).not.toBe(0);
    expect(await ping("isp1", "2001:db8:1:a::1")).toBe(0);
    await network.boot("b");
    expect(await ping("a", "2001:db8:1:b::1")).toBe(0);
    expect(await ping("isp2", "2001:db8:2:b::1")).toBe(0);
  });

  test("a lab whose process lives is no leftover", async () => {
    expect(await removeLeftovers(false)).not.toContain(network.namespace("a"));
    expect(await ping("a", "2001:db8:1:b::1")).toBe(0);
  });
});

test("destroy leaves no namespace behind", async () => {
  const network = await Network.create({ isps: ["isp1"], hosts: PAPER_TOPOLOGY.hosts.slice(0, 0) });
  await network.destroy();
  const { stdout } = await tryRun(["ip", "netns", "list"]);
  expect(stdout).not.toContain(network.id);
}, 30_000);
