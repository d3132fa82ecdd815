import { readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { coreLink, literal } from "../../src/lab/topology.ts";
import { NEXT_HEADER_OFFSET, PROTOCOL_FRAGMENT, PROTOCOL_SHIM6 } from "../../src/wire/ipv6.ts";
import { EbpfLab, TAG_OF_A, TAG_OF_B } from "./support/ebpf-lab.ts";
import { LabHost, type PlaneLab } from "./support/plane-lab.ts";
import { RecordedEvents } from "./support/recorded-events.ts";

const TUN_LINK = fileURLToPath(new URL("../../dist/lab/apps/tun-link.js", import.meta.url));

let shim: EbpfLab;
let lab: PlaneLab;

beforeAll(async () => {
  shim = await EbpfLab.create();
  lab = shim.lab;
});

afterAll(async () => {
  await shim.destroy();
});

function transfer(octets: number): Promise<string> {
  return lab.a.traffic("tcp", lab.a.ulid, lab.b.ulid, octets).result();
}

/** Waits until an echo request is answered: the planes follow the network a moment later. */
async function untilReachable(): Promise<void> {
  for (let i = 0; i < 20; i++) if ((await lab.a.ping(lab.b, 1)) === 1) return;
  throw new Error("the other host does not answer");
}

function linkIndex(name: string): Promise<number> {
  return lab.a.run("cat", `/sys/class/net/${name}/ifindex`).then(Number);
}

/** The second uplink of host a, pulled and plugged in again as a link with that index. */
async function replug(index: string, pause: number): Promise<void> {
  const router = lab.router("isp2");
  await lab.a.link("delete isp2");
  await sleep(pause);
  const peer = `peer name a netns ${router.name}`;
  await lab.a.link(`add isp2 ${index}mtu 1500 type veth ${peer} mtu 1500`);
  await router.link("set dev a up");
  await router.ip6("address add 2001:db8:2:a::fe/64 dev a nodad");
  await lab.a.link("set isp2 up");
  await lab.a.ip6(`address add ${lab.a.locator}/64 dev isp2 nodad`);
  const gateway = "default via 2001:db8:2:a::fe dev isp2";
  await lab.a.ip6(`route add ${gateway} metric 2048`);
  await lab.a.ip6(`route add ${gateway} table 101`);
}

describe("an uplink that is pulled and plugged in again", () => {
  test("gets its programs, and mapped packets go by it, with a new index and with its old one", async () => {
    await shim.withMappedPlanes(async () => {
      await lab.withoutFirstPath(async () => {
        await untilReachable();
        const before = await linkIndex("isp2");
        await replug("", 200);
        const after = await linkIndex("isp2");
        expect(after).not.toBe(before);
        await untilReachable();
        const pins = readdirSync(shim.pinDirectory(lab.a)).filter((name) =>
          name.startsWith("link-"),
        );
        expect(pins).toContain(`link-${after}-ingress`);
        expect(pins.filter((name) => name.startsWith(`link-${before}-`))).toEqual([]);
        await replug(`index ${after} `, 0);
        expect(await linkIndex("isp2")).toBe(after);
        await untilReachable();
        expect(await transfer(500_000)).toContain("intact");
      });
    });
  });
});

describe("the way of a mapped pair", () => {
  test("follows the gateway when that has another address", async () => {
    const router = lab.router("isp2");
    const [before, after] = ["2001:db8:2:a::fe", "2001:db8:2:a::fd"] as const;
    const move = async (from: string, to: string): Promise<void> => {
      await router.ip6(`address add ${to}/64 dev a nodad`);
      await router.ip6(`address delete ${from}/64 dev a`);
      await lab.a.ip6(`route replace default via ${to} dev isp2 metric 2048`);
      await lab.a.ip6(`route replace default via ${to} dev isp2 table 101`);
      await lab.a.ip6("neighbour flush dev isp2");
    };
    await shim.withMappedPlanes(async () => {
      await lab.withoutFirstPath(async () => {
        await untilReachable();
        await move(before, after);
        try {
          await untilReachable();
        } finally {
          await move(after, before);
        }
        await untilReachable();
        expect(await transfer(100_000)).toContain("intact");
      });
    });
  });

  test("of 1280 octets carries TCP and UDP, in fragments behind the Shim6 header", async () => {
    const router = lab.router("isp2");
    const routes = ["2001:db8:2:a::/64 dev a", "2001:db8:2:b::/64 dev b"];
    for (const route of routes) await router.ip6(`route add ${route} metric 1 mtu 1280`);
    try {
      await shim.withMappedPlanes(async (a) => {
        await lab.withoutFirstPath(async () => {
          await untilReachable();
          expect(await transfer(200_000)).toContain("intact");
          const datagrams = () => lab.a.traffic("udp", lab.a.ulid, lab.b.ulid, 1232, 2).result();
          const packets = await lab.capture(router, "a", "ip6 proto 140", async () => {
            expect(await transfer(50_000)).toContain("intact");
            expect(await datagrams()).toContain("intact");
          });
          expect(Math.max(...packets.map((packet) => packet.length))).toBeLessThanOrEqual(1280);
          const behind = packets.map((packet) => packet[40]);
          expect(behind).toContain(PROTOCOL_FRAGMENT);
          expect(packets.every((packet) => packet[NEXT_HEADER_OFFSET] === PROTOCOL_SHIM6)).toBe(
            true,
          );
          expect(a.counters["fragmented"]).toBeGreaterThan(0);
        });
      });
    } finally {
      for (const route of routes) await router.ip6(`route del ${route} metric 1`);
    }
  });

  test("is that of sockets that are bound to the other uplink, too", async () => {
    await shim.withMappedPlanes(async (a) => {
      await lab.withoutFirstPath(async () => {
        await untilReachable();
        const before = a.traffic(TAG_OF_A);
        const packets = await lab.capture(lab.router("isp2"), "a", "ip6 proto 140", async () => {
          // Answers come by the second uplink, and such a socket takes none from there.
          await lab.a.ping(lab.b, 4, "-I", "isp1", "-W", "0.2");
        });
        expect(packets).toHaveLength(8);
        const after = a.traffic(TAG_OF_A);
        expect((after?.packetsOut ?? 0) - (before?.packetsOut ?? 0)).toBe(4);
        expect((after?.packetsIn ?? 0) - (before?.packetsIn ?? 0)).toBe(4);
      });
    });
  });
});

describe("on a router", () => {
  test("packets between other hosts are not counted, triggered by, or touched", async () => {
    const events = new RecordedEvents();
    const router = new LabHost(
      lab.router("isp2").name,
      literal("2001:db8:2:a::fe"),
      literal("2001:db8:2:b::fe"),
    );
    const plane = await shim.open(router, events);
    try {
      await shim.withMappedPlanes(async () => {
        await lab.withoutFirstPath(async () => {
          await untilReachable();
          expect(await lab.a.ping(lab.b, 25)).toBe(25);
        });
        const late = ["-6", "-c1", "-W1", "-t1", "-I", lab.a.ulid, lab.b.ulid];
        await expect(lab.a.start("ping", ...late).result()).rejects.toThrow("Time exceeded");
      });
      const { locators } = lab.pairs(lab.a);
      const plain = ["-6", "-c25", "-i0.01", "-I", locators.local, locators.peer];
      expect(await lab.a.start("ping", ...plain).result()).toContain("25 received");
      expect([events.triggers, events.unknownTags, events.icmpErrors]).toEqual([[], [], []]);
      const counted = Object.entries(plane.counters).filter(([, count]) => count > 0);
      expect(counted).toEqual([]);
    } finally {
      await plane.close();
    }
  });
});

describe("an uplink without Ethernet headers", () => {
  const address = literal("2001:db8:3:a::1");
  const gateway = "2001:db8:3:a::fe";

  /** Host a gets a third uplink, by a TUN device to the second ISP, while `use` runs. */
  async function withTunUplink(use: () => Promise<void>): Promise<void> {
    const router = lab.router("isp2");
    const ends = ["--device", "tun0", "--namespace", router.name, "--peer", "tun-a"];
    const link = lab.a.start(process.execPath, TUN_LINK, ...ends, "--delay", "0");
    try {
      await link.said("ready");
      await lab.a.link("set tun0 up");
      await router.link("set tun-a up");
      await lab.a.ip6(`address add ${address}/64 dev tun0 nodad`);
      await router.ip6(`address add ${gateway}/64 dev tun-a nodad`);
      await lab.a.ip6(`route add default via ${gateway} dev tun0 metric 4096`);
      await lab.a.ip6(`rule add pref 14020 from ${address} lookup 102`);
      await lab.a.ip6(`route add default via ${gateway} dev tun0 table 102`);
      await lab.router("core").ip6(`route add 2001:db8:3:a::/64 via ${coreLink(1).isp} dev isp2`);
      await use();
    } finally {
      await link.stop();
    }
  }

  test("carries mapped packets both ways, and those of sockets that are bound to it", async () => {
    await withTunUplink(async () => {
      await shim.withMappedPlanes(async (a, b) => {
        const [ofA, ofB] = [lab.pairs(lab.a), lab.pairs(lab.b)];
        const locatorsOfA = { local: address, peer: lab.b.locator };
        const locatorsOfB = { local: lab.b.locator, peer: address };
        a.setMapping(TAG_OF_A, { ulids: ofA.ulids, locators: locatorsOfA, peerTag: TAG_OF_B });
        b.setMapping(TAG_OF_B, { ulids: ofB.ulids, locators: locatorsOfB, peerTag: TAG_OF_A });
        await lab.withoutFirstPath(async () => {
          await untilReachable();
          expect(await transfer(200_000)).toContain("intact");
          const before = a.traffic(TAG_OF_A);
          const packets = await lab.capture(
            lab.router("isp2"),
            "tun-a",
            "ip6 proto 140",
            async () => {
              expect(await lab.a.ping(lab.b, 4, "-I", "tun0")).toBe(4);
            },
          );
          expect(packets).toHaveLength(8);
          const after = a.traffic(TAG_OF_A);
          expect((after?.packetsOut ?? 0) - (before?.packetsOut ?? 0)).toBe(4);
          expect((after?.bytesIn ?? 0) - (before?.bytesIn ?? 0)).toBe(4 * 104);
        });
      });
    });
  });
});
