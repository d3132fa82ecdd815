import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BPF_EXIST, BPF_NOEXIST, BpfMap } from "../../src/linux/bpf-map.ts";
import { BpfObject } from "../../src/linux/bpf-object.ts";
import { bpfProgramFromPin, programInfo, setBpfStats } from "../../src/linux/bpf-program.ts";
import { openRingBuffer } from "../../src/linux/bpf-ring-buffer.ts";
import { isBpffs, mountBpffs } from "../../src/linux/bpffs.ts";
import { code, compileBpf, compileCounters, withBpffs, withObject } from "./support/bpf.ts";
import { until } from "./support/namespaces.ts";

const ETH_P_IPV6 = 0x86dd;
/** The interface index of `lo`. */
const LOOPBACK = 1;
/** What a ring of 4096 octets holds of records of 4, each in 16; it never fills up whole. */
const RING_RECORDS = 4096 / 16 - 1;
const directory = mkdtempSync(join(tmpdir(), "l3t-bpf-"));
let counters = "";

beforeAll(() => {
  counters = compileCounters(directory);
});
afterAll(() => rmSync(directory, { recursive: true }));

function u32(value: number): Uint8Array {
  return new Uint8Array(new Uint32Array([value]).buffer);
}

function u64(value: number): Uint8Array {
  return new Uint8Array(new BigUint64Array([BigInt(value)]).buffer);
}

/** An Ethernet frame that carries the start of an IPv6 packet. */
function frame(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  new DataView(bytes.buffer).setUint16(12, ETH_P_IPV6);
  bytes[14] = 0x60;
  return bytes;
}

describe("an object file", () => {
  test("one that does not exist, or is none, says so", () => {
    expect(() => BpfObject.open("/nowhere.bpf.o")).toThrow(code("ENOENT"));
    const text = join(directory, "text.bpf.o");
    writeFileSync(text, "no object");
    expect(() => BpfObject.open(text)).toThrow(/^cannot open .*text\.bpf\.o: .*libbpf: elf: /);
  });

  test("a program that the verifier refuses is named, with what the verifier said last", () => {
    const source = join(directory, "refused.bpf.c");
    writeFileSync(
      source,
      `#include <linux/bpf.h>
       #include <bpf/bpf_helpers.h>
       SEC("tc") int unchecked(struct __sk_buff *skb) { return *(int *)(long)skb->data; }
       char _license[] SEC("license") = "GPL";`,
    );
    const object = BpfObject.open(compileBpf(source, mkdtempSync(join(directory, "refused-"))));
    const refusal = /EACCES.*prog 'unchecked'.*invalid access to packet.*; the kernel's verifier/s;
    expect(() => object.load()).toThrow(refusal);
    object.close();
  });

  test("names that it does not have are errors", async () => {
    await withObject(counters, (object) => {
      expect(() => object.map("nothing")).toThrow(code("ENOENT"));
      expect(() => object.program("nothing")).toThrow(code("ENOENT"));
      expect(() => object.setMaxEntries("by_length", 5)).toThrow(code("EBUSY"));
    });
  });
});

test("root with CAP_BPF and CAP_NET_ADMIN alone can load, pin, attach and read", async () => {
  const linux = (name: string) => new URL(`../../dist/linux/${name}`, import.meta.url).pathname;
  await withBpffs((bpffs) => {
    const script = `
      import { BpfObject } from "${linux("bpf-object.js")}";
      import { attachTcx, bpfLinkFromPin } from "${linux("bpf-link.js")}";
      import { attachClsact } from "${linux("bpf-clsact.js")}";
      import { BpfMap } from "${linux("bpf-map.js")}";
      const object = BpfObject.open("${counters}");
      object.load();
      const program = object.program("count");
      object.map("by_length").pin("${bpffs}/map");
      attachTcx(program, ${LOOPBACK}, "ingress").pin("${bpffs}/link");
      attachClsact(program, ${LOOPBACK}, "ingress", { priority: 140, handle: 1 }).detach();
      program.run(new Uint8Array(64));
      bpfLinkFromPin("${bpffs}/link").detach();
      console.log(object.map("packets").memory()[0], [...BpfMap.fromPin("${bpffs}/map").entries()].length);
    `;
    const capabilities = ["--bounding-set", "-all,+bpf,+net_admin", "--inh-caps", "-all"];
    const node = [process.execPath, "--input-type=module", "--eval", script];
    // In a network namespace of its own, whose loopback is down.
    const command = ["--net", "setpriv", ...capabilities, ...node];
    expect(execFileSync("unshare", command, { encoding: "utf8" })).toBe("1 1\n");
  });
});

test("without libbpf, loading says what to install", () => {
  const library = /libbpf\.so\.1 .*=> (.*)$/m.exec(
    execFileSync("/sbin/ldconfig", ["-p"], { encoding: "utf8" }),
  )?.[1];
  const object = new URL("../../dist/linux/bpf-object.js", import.meta.url).pathname;
  const load = `import { BpfObject } from "${object}";
    try { BpfObject.open("${counters}"); } catch (error) { console.log(error.message); }`;
  const script = `mount --bind /dev/null "$(realpath "$0")" && exec "$@"`;
  const node = [process.execPath, "--input-type=module", "--eval", load];
  const hidden = ["--mount", "sh", "-c", script, String(library), ...node];
  expect(execFileSync("unshare", hidden, { encoding: "utf8" })).toMatch(
    /^cannot load eBPF programs: dlopen: ENOENT, .*libbpf\.so\.1 is missing: install libbpf1 \(/,
  );
});

describe("a map", () => {
  test("entries are set, found, listed and deleted", async () => {
    await withObject(counters, (object) => {
      const map = object.map("by_length");
      expect(map).toMatchObject({ name: "by_length", keySize: 4, valueSize: 8, maxEntries: 8 });
      const value = u64(99);
      expect(map.lookup(u32(1), value)).toBe(false);
      expect(value).toEqual(u64(99));
      for (const key of [1, 2, 3]) map.update(u32(key), u64(10 * key));
      expect(map.lookup(u32(2), value)).toBe(true);
      expect(value).toEqual(u64(20));
      expect(sorted(map)).toEqual(["1 10", "2 20", "3 30"]);
      expect(map.delete(u32(2))).toBe(true);
      expect(map.delete(u32(2))).toBe(false);
      expect(sorted(map)).toEqual(["1 10", "3 30"]);
    });
  });

  test("a full map refuses another entry and keeps those that it has", async () => {
    const fill = (object: BpfObject): void => {
      const map = object.map("by_length");
      expect(map.maxEntries).toBe(2);
      map.update(u32(1), u64(1), BPF_NOEXIST);
      map.update(u32(2), u64(2), BPF_NOEXIST);
      expect(() => map.update(u32(3), u64(3))).toThrow(code("E2BIG"));
      expect(() => map.update(u32(3), u64(3))).toThrow(/the map is full$/);
      expect(() => map.update(u32(1), u64(3), BPF_NOEXIST)).toThrow(code("EEXIST"));
      expect(() => map.update(u32(3), u64(3), BPF_EXIST)).toThrow(code("ENOENT"));
      map.update(u32(1), u64(9), BPF_EXIST);
      expect(sorted(map)).toEqual(["1 9", "2 2"]);
    };
    await withObject(counters, fill, (object) => object.setMaxEntries("by_length", 2));
  });

  test("many entries are all listed, once each", async () => {
    const fill = (object: BpfObject): void => {
      const map = object.map("by_length");
      for (let key = 0; key < 5000; key++) map.update(u32(key), u64(key));
      const entries = sorted(map);
      expect(entries.length).toBe(5000);
      expect(entries).toEqual(Array.from({ length: 5000 }, (_, key) => `${key} ${key}`).sort());
    };
    await withObject(counters, fill, (object) => object.setMaxEntries("by_length", 5000));
  });

  test("a type that the kernel does not read in batches is listed all the same", async () => {
    await withObject(counters, (object) => {
      const map = object.map("devices");
      expect([...map.entries()]).toEqual([]);
      for (const key of [7, 8, 9]) map.update(u32(key), u32(LOOPBACK));
      expect(sorted(map)).toEqual(["7 1", "8 1", "9 1"]);
    });
  });

  test("of a map with a value for each CPU, all are read", async () => {
    await withObject(counters, (object) => {
      const map = object.map("packets_per_cpu");
      for (let i = 0; i < 3; i++) object.program("count").run(frame(100));
      const value = new Uint8Array(map.valueSize);
      expect(map.lookup(u32(0), value)).toBe(true);
      expect(value.reduce((sum, octet) => sum + octet)).toBe(3);
    });
  });

  test("a key or value of another size is refused", async () => {
    await withObject(counters, (object) => {
      const map = object.map("by_length");
      expect(() => map.update(u64(1), u64(1))).toThrow(/key of 8 octets .* have 4/);
      expect(() => map.lookup(u32(1), u32(1))).toThrow(/value of 4 octets .* have 8/);
    });
  });

  test("its memory is what the programs see, and zeros once it is closed", async () => {
    let memory: Uint8Array = new Uint8Array(0);
    await withObject(counters, (object) => {
      memory = object.map("packets").memory();
      expect(object.map("packets").memory()).toBe(memory);
      memory.set(u64(41));
      object.program("count").run(frame(100));
      expect(memory).toEqual(Uint8Array.of(42, ...new Uint8Array(15)));
      expect(() => object.map("by_length").memory()).toThrow(code("ENOTSUPP"));
    });
    expect(memory).toEqual(new Uint8Array(16));
  });
});

describe("a test run", () => {
  test("gives the packet that came out, the return value and the time", async () => {
    await withObject(counters, (object) => {
      const context = new Uint8Array(192);
      context[8] = 7;
      const packet = frame(100);
      const {
        returned,
        packet: longer,
        durationNs,
      } = object.program("grow").run(packet, {
        context,
      });
      expect(returned).toBe(7);
      expect(longer).toEqual(
        Uint8Array.of(
          ...packet.subarray(0, 14),
          ...[0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88],
          ...packet.subarray(14),
        ),
      );
      expect(durationNs).toBeGreaterThan(0);
      expect(object.program("count").run(packet, { repeat: 10 }).returned).toBe(-1);
      expect(() => object.program("grow").run(packet, { outputLength: 50 })).toThrow(
        code("ENOSPC"),
      );
    });
  });

  test("runs are counted while statistics are on", async () => {
    await withObject(counters, (object) => {
      const program = object.program("count");
      setBpfStats(true);
      try {
        for (let i = 0; i < 5; i++) program.run(frame(100));
      } finally {
        setBpfStats(false);
      }
      program.run(frame(100));
      const info = programInfo(program.fd);
      expect(info).toMatchObject({ name: "count", runCount: 5 });
      expect(info.runTimeNs).toBeGreaterThan(0);
      expect(info.verifiedInstructions).toBeGreaterThan(10);
    });
  });
});

describe("pins", () => {
  test("a directory becomes a bpffs once", async () => {
    await withBpffs((bpffs) => {
      expect(isBpffs(bpffs)).toBe(true);
      expect(mountBpffs(bpffs)).toBe(false);
      expect(isBpffs(directory)).toBe(false);
      expect(isBpffs(join(directory, "none"))).toBe(false);
    });
  });

  test("what is pinned outlives the object, and is what it was", async () => {
    await withBpffs((bpffs) => {
      const object = BpfObject.open(counters);
      object.load();
      object.map("by_length").pin(join(bpffs, "map"));
      object.program("count").pin(join(bpffs, "program"));
      expect(() => object.map("packets").pin(join(bpffs, "map"))).toThrow(code("EEXIST"));
      object.close();

      const program = bpfProgramFromPin(join(bpffs, "program"));
      const map = BpfMap.fromPin(join(bpffs, "map"));
      expect(program.name).toBe("count");
      program.run(frame(77));
      expect(sorted(map)).toEqual(["77 1"]);
      map.close();
      program.close();
      expect(() => BpfMap.fromPin(join(bpffs, "nothing"))).toThrow(code("ENOENT"));
      expect(() => BpfMap.fromPin(join(bpffs, "program"))).toThrow(/it is a bpf-prog$/);
    });
  });

  test("another object takes over a pinned map of the same shape, and no other", async () => {
    await withBpffs((bpffs) => {
      const before = BpfObject.open(counters);
      before.load();
      before.map("by_length").update(u32(5), u64(55));
      before.map("by_length").pin(join(bpffs, "map"));
      before.close();

      const map = BpfMap.fromPin(join(bpffs, "map"));
      const after = BpfObject.open(counters);
      expect(() => after.reuseMap("packets", map)).toThrow(
        /its type is 1, and the programs want 2/,
      );
      after.reuseMap("by_length", map);
      after.load();
      map.close();
      after.program("count").run(frame(66));
      expect(sorted(after.map("by_length"))).toEqual(["5 55", "66 1"]);
      after.close();
    });
  });
});

describe("a ring buffer", () => {
  test("records come as they are written, over many rounds of the ring", async () => {
    await withObject(counters, async (object) => {
      const records: number[] = [];
      const errors: Error[] = [];
      const onRecord = (record: Uint8Array): void => {
        expect(record.length).toBe(4);
        records.push(new DataView(record.buffer).getUint32(0, true));
      };
      const ring = openRingBuffer(object.map("told"), onRecord, (error) => errors.push(error));
      const sent: number[] = [];
      for (let round = 0; round < 20; round++) {
        for (let length = 64; length < 164; length++) {
          object.program("count").run(frame(length));
          sent.push(length);
        }
        await until("the records", () => records.length === sent.length);
      }
      expect(records).toEqual(sent);
      ring.close();
      object.program("count").run(frame(99));
      await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
      expect(records.length).toBe(sent.length);
      expect(errors).toEqual([]);
    });
  });

  test("a full ring takes no more, and goes on when it has been read", async () => {
    await withObject(counters, async (object) => {
      let records = 0;
      const onRecord = (): void => {
        records++;
      };
      const ring = openRingBuffer(object.map("told"), onRecord, () => undefined);
      for (let i = 0; i < 2 * RING_RECORDS; i++) object.program("count").run(frame(64));
      await until("what the ring held", () => records === RING_RECORDS);
      object.program("count").run(frame(64));
      await until("the next", () => records === RING_RECORDS + 1);
      ring.close();
    });
  });

  test("what a reader throws is reported, and the next record comes", async () => {
    await withObject(counters, async (object) => {
      const errors: string[] = [];
      const onRecord = (record: Uint8Array): void => {
        throw new Error(`record ${record[0]}`);
      };
      const ring = openRingBuffer(object.map("told"), onRecord, ({ message }) =>
        errors.push(message),
      );
      object.program("count").run(frame(70));
      object.program("count").run(frame(71));
      await until("both", () => errors.length === 2);
      expect(errors).toEqual(["record 70", "record 71"]);
      ring.close();
    });
  });
});

/** A map's entries as "KEY VALUE", of numbers below 2^32. */
function sorted(map: BpfMap): string[] {
  const number = (bytes: Uint8Array) =>
    new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  return [...map.entries()].map(({ key, value }) => `${number(key)} ${number(value)}`).sort();
}
