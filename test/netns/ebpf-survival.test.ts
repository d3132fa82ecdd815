import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DataPlaneError } from "../../src/dataplane/dataplane.ts";
import { SETTINGS_LENGTH } from "../../src/dataplane/ebpf/layout.ts";
import { literal } from "../../src/lab/topology.ts";
import { BpfMap } from "../../src/linux/bpf-map.ts";
import { contextTag } from "../../src/wire/tag.ts";
import { SHIM_OBJECT } from "./support/ebpf-host.ts";
import { EbpfLab, TAG_OF_A, TAG_OF_B } from "./support/ebpf-lab.ts";
import { until } from "./support/namespaces.ts";
import type { LabHost, PlaneLab, TestProcess } from "./support/plane-lab.ts";

const PROCESS = fileURLToPath(new URL("./support/plane-process.mjs", import.meta.url));
const OTHER_TAG = contextTag(0x0aaa_0000_0001);
const THIRD_TAG = contextTag(0x0aaa_0000_0002);
const PEER_TAG = contextTag(0x0bbb_0000_0001);
const MAPS = ["pairs", "tags", "peer_tags", "forks"] as const;

let shim: EbpfLab;
let lab: PlaneLab;

beforeAll(async () => {
  shim = await EbpfLab.create();
  lab = shim.lab;
});

afterAll(async () => {
  await shim.destroy();
});

/** Entries of the maps that a host's plane has pinned. */
function entries(host: LabHost): Record<(typeof MAPS)[number], number> {
  const counts = MAPS.map((name) => {
    const map = BpfMap.fromPin(join(shim.pinDirectory(host), name));
    try {
      return [name, [...map.entries()].length] as const;
    } finally {
      map.close();
    }
  });
  return Object.fromEntries(counts) as Record<(typeof MAPS)[number], number>;
}

/** A pair that no host answers for, with the mapping of the host's own. */
function otherMapping(host: LabHost, peer: string) {
  const { locators } = lab.pairs(host);
  return { ulids: { local: host.ulid, peer: literal(peer) }, locators, peerTag: PEER_TAG };
}

/** Pings as fast as a packet each 10 ms; those that were lost show. */
function steadyPings(count: number): TestProcess {
  const { a, b } = lab;
  return a.start("ping", "-6", "-I", a.ulid, "-c", `${count}`, "-i", "0.01", "-W", "2", b.ulid);
}

function deviceRoutes(host: LabHost): Promise<string> {
  return host.ip6("route show table 1399999");
}

/** Of the programs on the host's links, by their pins. */
function programIds(host: LabHost): number[] {
  const directory = shim.pinDirectory(host);
  return readdirSync(directory)
    .filter((name) => name.startsWith("link-"))
    .map((name) => {
      const argv = ["--json", "link", "show", "pinned", join(directory, name)];
      return JSON.parse(execFileSync("bpftool", argv, { encoding: "utf8" })).prog_id as number;
    });
}

function isLoaded(id: number): boolean {
  return spawnSync("bpftool", ["prog", "show", "id", `${id}`]).status === 0;
}

describe("full maps", () => {
  test("refuse a context, count it, harm no other, and have room again when one goes", async () => {
    await shim.withMappedPlanes(
      async (plane) => {
        const [second, third] = [
          otherMapping(lab.a, "2001:db8:9::2"),
          otherMapping(lab.a, "2001:db8:9::3"),
        ];
        plane.setContext(OTHER_TAG, second.ulids);
        plane.setContext(THIRD_TAG, third.ulids);
        plane.setMapping(THIRD_TAG, third);
        expect(plane.counters["context-refused"]).toBe(1);
        expect(plane.traffic(THIRD_TAG)).toMatchObject({ packetsOut: 0, lastOut: undefined });
        expect(entries(lab.a)).toMatchObject({ pairs: 2, tags: 2 });
        expect(await deviceRoutes(lab.a)).not.toContain("2001:db8:9::3");
        await lab.withoutFirstPath(async () => expect(await lab.a.ping(lab.b, 5)).toBe(5));
        plane.clearMapping(THIRD_TAG);
        plane.clearContext(OTHER_TAG);
        plane.setContext(THIRD_TAG, third.ulids);
        plane.setMapping(THIRD_TAG, third);
        expect(plane.counters["context-refused"]).toBe(1);
        expect(await deviceRoutes(lab.a)).toContain("2001:db8:9::3");
        plane.clearContext(THIRD_TAG);
        expect(entries(lab.a)).toEqual({ pairs: 1, tags: 1, peer_tags: 1, forks: 0 });
      },
      { contexts: 2 },
    );
  });
});

describe("a plane that was released", () => {
  test("is followed by one that goes on with mapping and record, without a lost packet", async () => {
    await shim.withMappedPlanes(async (first) => {
      await lab.withoutFirstPath(async () => {
        const pings = steadyPings(300);
        await until("traffic", () => (first.traffic(TAG_OF_A)?.packetsIn ?? 0) > 20);
        await first.release();
        const next = await shim.open(lab.a);
        try {
          const { ulids } = lab.pairs(lab.a);
          next.setContext(TAG_OF_A, ulids);
          const taken = next.traffic(TAG_OF_A);
          expect(taken?.packetsOut).toBeGreaterThan(20);
          next.setMapping(TAG_OF_A, { ...lab.pairs(lab.a), peerTag: TAG_OF_B });
          next.settle();
          expect(await pings.result()).toContain("300 received");
          expect(next.traffic(TAG_OF_A)).toMatchObject({ packetsOut: 300, packetsIn: 300 });
        } finally {
          await next.close();
        }
      });
    });
  });

  test("is followed by one that forgets, when it settles, what was not set again", async () => {
    await shim.withMappedPlanes(async (first) => {
      const other = otherMapping(lab.a, "2001:db8:9::2");
      first.setContext(OTHER_TAG, other.ulids);
      first.setMapping(OTHER_TAG, other);
      first.setContext(THIRD_TAG, lab.pairs(lab.a).ulids, 7);
      first.setMapping(THIRD_TAG, {
        ...lab.pairs(lab.a),
        peerTag: PEER_TAG,
        selector: { dscp: 1 },
      });
      await first.release();
      expect(entries(lab.a)).toEqual({ pairs: 2, tags: 3, peer_tags: 2, forks: 1 });
      const next = await shim.open(lab.a);
      try {
        shim.map(next, lab.a);
        next.settle();
        expect(entries(lab.a)).toEqual({ pairs: 1, tags: 1, peer_tags: 1, forks: 0 });
        expect((await deviceRoutes(lab.a)).trim().split("\n")).toHaveLength(1);
        await lab.withoutFirstPath(async () => expect(await lab.a.ping(lab.b, 3)).toBe(3));
      } finally {
        await next.close();
      }
    });
  });

  test("of another layout is thrown away with its programs", async () => {
    await shim.withMappedPlanes(async (first, b) => {
      await first.release();
      const before = programIds(lab.a);
      const settings = BpfMap.fromPin(join(shim.pinDirectory(lab.a), "settings"));
      settings.update(new Uint8Array(4), new Uint8Array(SETTINGS_LENGTH).fill(0xff));
      settings.close();
      const next = await shim.open(lab.a);
      try {
        expect(entries(lab.a)).toEqual({ pairs: 0, tags: 0, peer_tags: 0, forks: 0 });
        const after = programIds(lab.a);
        expect(after).toHaveLength(before.length);
        expect(after.filter((id) => before.includes(id))).toEqual([]);
        b.clearMapping(TAG_OF_B);
        expect(await lab.a.ping(lab.b, 2)).toBe(2);
      } finally {
        await next.close();
      }
    });
  });
});

describe("a plane that was killed", () => {
  async function start(host: LabHost): Promise<TestProcess> {
    const isA = host === lab.a;
    const { ulids } = lab.pairs(host);
    const mapping = { ...lab.pairs(host), peerTag: isA ? TAG_OF_B : TAG_OF_A };
    const options = {
      objectFile: SHIM_OBJECT,
      pinDirectory: shim.pinDirectory(host),
      contexts: 64,
    };
    const task = { plane: "ebpf", options, tag: isA ? TAG_OF_A : TAG_OF_B, ulids, mapping };
    const plane = host.start(process.execPath, PROCESS, JSON.stringify(task));
    await plane.said("ready");
    return plane;
  }

  test("leaves mapped traffic flowing; the next one takes over, or takes all away", async () => {
    const before = await lab.a.state();
    const planes = [await start(lab.a), await start(lab.b)];
    await lab.withoutFirstPath(async () => {
      const client = lab.a.traffic("tcp", lab.a.ulid, lab.b.ulid, 100_000, 40, 50);
      await client.said("connected");
      for (const plane of planes) await plane.stop("SIGKILL");
      expect(client.output).not.toContain("intact");
      expect(await client.result()).toContain("intact");
      const pings = steadyPings(150);
      const a = await shim.open(lab.a);
      shim.map(a, lab.a);
      a.settle();
      expect(await pings.result()).toContain("150 received");
      expect(a.traffic(TAG_OF_A)?.packetsOut).toBeGreaterThan(150);
      await a.close();
    });
    const b = await shim.open(lab.b);
    b.settle();
    expect(await lab.a.ping(lab.b, 3)).toBe(3);
    await b.close();
    expect(await lab.a.state()).toEqual(before);
  });
});

describe("a plane that is closed", () => {
  test("leaves no program, pin, link, route or rule", async () => {
    const before = await lab.a.state();
    let ids: number[] = [];
    await shim.withMappedPlanes(async () => {
      ids = programIds(lab.a);
      // Both directions of two uplinks, and the ULID device.
      expect(ids).toHaveLength(5);
      expect(await lab.a.state()).not.toEqual(before);
    });
    expect(await lab.a.state()).toEqual(before);
    expect(readdirSync(shim.pinDirectory(lab.a))).toEqual([]);
    await until("the kernel to forget the programs", () => !ids.some(isLoaded));
  });
});

test("a link of the ULID device's name that is another's is named, and stays", async () => {
  await lab.a.link("add l3shim0 type veth peer name other0");
  try {
    const before = await lab.a.state();
    const refusal = await shim.open(lab.a).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(DataPlaneError);
    expect((refusal as DataPlaneError).message).toContain("l3shim0");
    expect(await lab.a.state()).toEqual(before);
    expect(existsSync(join(shim.pinDirectory(lab.a), "pairs"))).toBe(false);
  } finally {
    await lab.a.link("delete l3shim0");
  }
});
