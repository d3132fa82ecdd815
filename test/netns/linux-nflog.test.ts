import { describe, expect, test } from "vitest";
import { type LoggedPacket, openLog, type PacketLog } from "../../src/linux/nflog.ts";
import { SystemError } from "../../src/linux/system-error.ts";
import { type TestNamespace, until, withVethPair } from "./support/namespaces.ts";

const GROUP = 9;
const COPY_RANGE = 64;
const HOOK_LOCAL_IN = 1;
const HOOK_LOCAL_OUT = 3;
const ECHO_LENGTH = 104;

/** Names the echo requests and replies of `namespace` to the group while `use` runs. */
async function withLog(
  namespace: TestNamespace,
  use: (log: PacketLog, seen: { hook: number; octets: number; length: number }[]) => Promise<void>,
): Promise<void> {
  const seen: { hook: number; octets: number; length: number }[] = [];
  const errors: Error[] = [];
  const note = (packets: readonly LoggedPacket[]): void => {
    for (const { hook, payload } of packets) {
      const length = 40 + ((payload[4] ?? 0) << 8) + (payload[5] ?? 0);
      seen.push({ hook, octets: payload.length, length });
    }
  };
  const options = { group: GROUP, copyRange: COPY_RANGE };
  const log = namespace.enter(() => openLog(options, note, (error) => errors.push(error)));
  try {
    for (const [chain, type] of [
      ["OUTPUT", "echo-request"],
      ["INPUT", "echo-reply"],
    ]) {
      const rule = `-t mangle -A ${chain} -p icmpv6 --icmpv6-type ${type} -j NFLOG`;
      await namespace.run("ip6tables", ...rule.split(" "), "--nflog-group", `${GROUP}`);
    }
    await use(log, seen);
  } finally {
    log.close();
  }
  expect(errors).toEqual([]);
}

function ping(namespace: TestNamespace, count: number): Promise<string> {
  const args = ["-6", "-c", `${count}`, "-i", "0.002", "-W", "1"];
  return namespace.run("ping", ...args, "2001:db8::2");
}

describe("a netfilter log", () => {
  test("packets are named in order, with their first octets and their hook", async () => {
    await withVethPair(async (left) => {
      await withLog(left, async (log, seen) => {
        await ping(left, 2);
        await until("four packets", () => seen.length === 4);
        const packet = { octets: COPY_RANGE, length: ECHO_LENGTH };
        const request = { hook: HOOK_LOCAL_OUT, ...packet };
        const reply = { hook: HOOK_LOCAL_IN, ...packet };
        expect(seen).toEqual([request, reply, request, reply]);
        expect(log.lost).toBe(0);
      });
    });
  });

  test("many packets come in a few deliveries, and none is lost", async () => {
    await withVethPair(async (left) => {
      await withLog(left, async (log, seen) => {
        await ping(left, 200);
        await until("all packets", () => seen.length === 400);
        expect(log.lost).toBe(0);
      });
    });
  });

  test("a group that another socket has is refused as busy", async () => {
    await withVethPair(async (left) => {
      await withLog(left, async () => {
        const second = withLog(left, () => Promise.resolve());
        await expect(second).rejects.toThrow(SystemError);
        await expect(second).rejects.toMatchObject({ code: "EBUSY" });
      });
    });
  });

  test("packets pass when nobody listens any more", async () => {
    await withVethPair(async (left) => {
      await withLog(left, () => Promise.resolve());
      expect(await ping(left, 3)).toContain("3 received");
    });
  });
});
