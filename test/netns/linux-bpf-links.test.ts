import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { attachClsact, detachClsact } from "../../src/linux/bpf-clsact.ts";
import { attachTcx, bpfLinkFromPin } from "../../src/linux/bpf-link.ts";
import type { BpfObject } from "../../src/linux/bpf-object.ts";
import { programInfo } from "../../src/linux/bpf-program.ts";
import { openRingBuffer } from "../../src/linux/bpf-ring-buffer.ts";
import { code, compileCounters, withBpffs, withObject } from "./support/bpf.ts";
import { type TestNamespace, until, withVethPair } from "./support/namespaces.ts";

const directory = mkdtempSync(join(tmpdir(), "l3t-bpf-"));
let counters = "";

beforeAll(() => {
  counters = compileCounters(directory);
});
afterAll(() => rmSync(directory, { recursive: true }));

describe("on a link with tcx", () => {
  test("packets are counted until the program is taken off, and then nothing is left", async () => {
    await withCounter(async ({ left, link, object, seen }) => {
      const program = object.program("count");
      const { id } = programInfo(program.fd);
      const told: number[] = [];
      const onRecord = (record: Uint8Array): void => {
        told.push(record.length);
      };
      const ring = openRingBuffer(object.map("told"), onRecord, () => undefined);
      const attached = left.enter(() => attachTcx(program, link, "ingress"));
      expect(() => left.enter(() => attachTcx(program, link, "ingress"))).toThrow(code("EEXIST"));
      await ping(left);
      expect(seen()).toBeGreaterThan(0);
      await until("a record of each packet", () => told.length === seen());
      ring.close();
      attached.detach();
      const before = seen();
      await ping(left);
      expect(seen()).toBe(before);
      attached.close();
      object.close();
      await until("the program is gone", () => !isLoaded(id));
    });
  });

  test("a pinned link holds the program in its place until somebody takes it off", async () => {
    await withCounter(async ({ left, link, object, seen }) => {
      await withBpffs(async (bpffs) => {
        const attached = left.enter(() => attachTcx(object.program("count"), link, "egress"));
        attached.pin(join(bpffs, "link"));
        attached.close();
        const countPing = async () => {
          const before = seen();
          await ping(left);
          return seen() - before;
        };
        expect(await countPing()).toBeGreaterThan(0);
        const again = bpfLinkFromPin(join(bpffs, "link"));
        rmSync(join(bpffs, "link"));
        again.close();
        // The kernel lets go of a pin a little after its name.
        await expect.poll(countPing, { timeout: 10_000 }).toBe(0);
      });
    });
  });

  test("an interface that does not exist is an error", async () => {
    await withObject(counters, (object) => {
      expect(() => attachTcx(object.program("count"), 999_999, "ingress")).toThrow(code("ENODEV"));
    });
  });
});

describe("on a link with a clsact qdisc", () => {
  const place = { priority: 140, handle: 1 };

  test("packets are counted until the program is taken off, and then nothing is left", async () => {
    await withCounter(async ({ left, link, object, seen }) => {
      const attach = (direction: "ingress" | "egress") =>
        left.enter(() => attachClsact(object.program("count"), link, direction, place));
      const ingress = attach("ingress");
      await ping(left);
      const one = seen();
      expect(one).toBeGreaterThan(0);
      const egress = attach("egress");
      expect(await filters(left, "egress")).toMatch(/pref 140 .*handle 0x1 .*direct-action/);
      ingress.detach();
      await ping(left);
      expect(seen()).toBeGreaterThan(one);
      egress.detach();
      expect(await qdiscs(left)).not.toContain("clsact");
      const all = seen();
      await ping(left);
      expect(seen()).toBe(all);
    });
  });

  test("a qdisc and filters of somebody else stay", async () => {
    await withCounter(async ({ left, link, object }) => {
      await left.run("tc", "qdisc", "add", "dev", "eth0", "clsact");
      const program = object.program("count");
      left.enter(() => attachClsact(program, link, "ingress", place)).detach();
      expect(await qdiscs(left)).toContain("clsact");
      await left.run("tc", "qdisc", "delete", "dev", "eth0", "clsact");

      const attached = left.enter(() => attachClsact(program, link, "ingress", place));
      await withBpffs((bpffs) => {
        program.pin(join(bpffs, "program"));
        const theirs = "filter add dev eth0 egress pref 140 handle 1 bpf da pinned";
        execFileSync("tc", ["-n", left.name, ...theirs.split(" "), join(bpffs, "program")]);
      });
      attached.detach();
      const after = await filters(left, "egress");
      expect(after).toContain("handle 0x1 ");
      expect(() => left.enter(() => attachClsact(program, link, "egress", place))).toThrow(
        code("EEXIST"),
      );
      expect(left.enter(() => detachClsact(link, "egress", place))).toBe(false);
      expect(await filters(left, "egress")).toBe(after);
    });
  });

  test("what a process left is taken over without a second filter, and taken off", async () => {
    await withCounter(async ({ left, link, object, seen }) => {
      left.enter(() => attachClsact(object.program("grow"), link, "ingress", place));
      left.enter(() => attachClsact(object.program("count"), link, "ingress", place));
      expect((await filters(left, "ingress")).match(/handle 0x1 /g)).toHaveLength(1);
      await ping(left);
      expect(seen()).toBeGreaterThan(0);
      const detach = (handle: number) =>
        left.enter(() => detachClsact(link, "ingress", { ...place, handle }));
      expect(detach(2)).toBe(false);
      expect(detach(1)).toBe(true);
      expect(detach(1)).toBe(false);
      expect(await qdiscs(left)).not.toContain("clsact");
    });
  });
});

interface Counter {
  readonly left: TestNamespace;
  /** Index of the left one's eth0. */
  readonly link: number;
  readonly object: BpfObject;
  /** Packets that the program `count` saw. */
  seen(): number;
}

async function withCounter(use: (counter: Counter) => Promise<void>): Promise<void> {
  await withVethPair(async (left) => {
    const link = Number((await left.run("cat", "/sys/class/net/eth0/ifindex")).trim());
    await withObject(counters, async (object) => {
      const memory = object.map("packets").memory();
      const seen = () => Number(new DataView(memory.buffer).getBigUint64(0, true));
      await use({ left, link, object, seen });
    });
  });
}

async function ping(from: TestNamespace): Promise<void> {
  await from.run("ping", "-6", "-c1", "-W5", "2001:db8::2");
}

function filters(namespace: TestNamespace, direction: "ingress" | "egress"): Promise<string> {
  return namespace.run("tc", "filter", "show", "dev", "eth0", direction);
}

function qdiscs(namespace: TestNamespace): Promise<string> {
  return namespace.run("tc", "qdisc", "show", "dev", "eth0");
}

/** Whether the kernel still has a program. */
function isLoaded(id: number): boolean {
  const programs: { id: number }[] = JSON.parse(
    execFileSync("bpftool", ["--json", "prog", "show"], { encoding: "utf8" }),
  );
  return programs.some((program) => program.id === id);
}
