import { describe, expect, test } from "vitest";
import { effectiveCapabilities } from "../../src/linux/capabilities.ts";
import { openQueue } from "../../src/linux/nfqueue.ts";
import type {
  BatchHandler,
  PacketQueue,
  QueuedPacket,
  QueueOptions,
  Verdicts,
} from "../../src/linux/queue.ts";
import { openShim6Socket, type Shim6Socket } from "../../src/linux/shim6-socket.ts";
import { type Address, parseAddress } from "../../src/wire/address.ts";
import { type TestNamespace, until, withVethPair } from "./support/namespaces.ts";

const OPTIONS: QueueOptions = {
  number: 7,
  copyRange: 0xffff,
  gso: false,
  failOpen: false,
  maxLength: 1024,
};

const LEFT = address("2001:db8::1");
const RIGHT = address("2001:db8::2");
const LOCAL_OUT = 3;
const PAYLOAD_LENGTH_OFFSET = 4;
const IPV6_HEADER_LENGTH = 40;
const SHIM6 = "-p 140";
const TCP = "-p tcp";
/** Sends 4 MB with TCP to port 9000 of its argument, and takes them. */
const TCP_SENDER = `
  const socket = require("node:net").connect(9000, process.argv[1]);
  socket.end(Buffer.alloc(4e6));
  socket.resume();`;
const TCP_RECEIVER = `
  let octets = 0;
  const server = require("node:net").createServer((socket) => {
    socket.on("data", (data) => (octets += data.length));
    socket.on("end", () => { console.log(octets); socket.end(); server.close(); });
  });
  server.listen(9000);`;

function address(text: string): Address {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(`not an address: ${text}`);
  return parsed;
}

function fail(error: Error): never {
  throw error;
}

/** Queues what `match` of ip6tables matches on its way out of `namespace` while `use` runs. */
async function withQueue(
  namespace: TestNamespace,
  options: { match: string } & Partial<QueueOptions>,
  onBatch: BatchHandler,
  use: (queue: PacketQueue) => Promise<void>,
): Promise<void> {
  const { match, ...rest } = options;
  const queue = namespace.enter(() => openQueue({ ...OPTIONS, ...rest }, onBatch, fail));
  try {
    const rule = `-t mangle -A OUTPUT ${match} -j NFQUEUE --queue-num ${queue.options.number}`;
    await namespace.run("ip6tables", ...rule.split(" "));
    await use(queue);
  } finally {
    queue.close();
  }
}

/** Messages of one octet each, told apart by it: sent from `left`, received in `right`. */
class Numbered {
  readonly arrived: number[] = [];
  readonly #sender: Shim6Socket;
  readonly #receiver: Shim6Socket;

  constructor(left: TestNamespace, right: TestNamespace) {
    this.#sender = left.enter(() => openShim6Socket(() => undefined, fail));
    const onMessage = ({ bytes }: { bytes: Uint8Array }) => this.arrived.push(bytes[3] ?? -1);
    this.#receiver = right.enter(() => openShim6Socket(onMessage, fail));
  }

  /** Sends 0 to `count` - 1 before anything else in this process gets its turn. */
  send(count: number): void {
    for (let i = 0; i < count; i++) {
      const bytes = Uint8Array.of(59, 0, 1, i);
      this.#sender.send({ source: LEFT, destination: RIGHT, bytes });
    }
  }

  close(): void {
    this.#sender.close();
    this.#receiver.close();
  }
}

async function withNumbered(
  left: TestNamespace,
  right: TestNamespace,
  use: (numbered: Numbered) => Promise<void>,
): Promise<void> {
  const numbered = new Numbered(left, right);
  try {
    await use(numbered);
  } finally {
    numbered.close();
  }
}

/** Our octet in a queued packet. */
function numberOf(packet: Uint8Array): number {
  return packet[IPV6_HEADER_LENGTH + 3] ?? -1;
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

async function interfaceIndex(namespace: TestNamespace): Promise<number> {
  return JSON.parse(await namespace.run("ip", "-j", "link", "show", "eth0"))[0].ifindex;
}

describe("a netfilter queue", () => {
  test("accepted packets go on unchanged and are seen whole", async () => {
    await withVethPair(async (left) => {
      const seen: { hook: number; output: number; octets: number; length: number }[] = [];
      const accept: BatchHandler = (packets, verdicts) => {
        for (const { id, hook, outputInterface, payload, length } of packets) {
          seen.push({ hook, output: outputInterface, octets: payload.length, length });
          verdicts.accept(id);
        }
      };
      const match = "-p icmpv6 --icmpv6-type echo-request";
      await withQueue(left, { match }, accept, async () => {
        const ping = ["ping", "-6", "-c3", "-i0.05", "-W2", RIGHT] as const;
        expect(await left.run(...ping)).toContain("3 received");
      });
      const output = await interfaceIndex(left);
      expect(seen).toEqual(Array(3).fill({ hook: LOCAL_OUT, output, octets: 104, length: 104 }));
    });
  });

  test("accepted, replaced and dropped packets of one batch each go their way, in order", async () => {
    await withVethPair(async (left, right) => {
      const batches: number[] = [];
      const byNumber: BatchHandler = (packets, verdicts) => {
        batches.push(packets.length);
        for (const packet of packets) decide(packet, verdicts);
      };
      const decide = ({ id, payload }: QueuedPacket, verdicts: Verdicts) => {
        const number = numberOf(payload);
        if (number < 20 || number % 3 === 0) return verdicts.accept(id);
        if (number % 3 === 1) return verdicts.drop(id);
        verdicts.replace(id, payload.with(IPV6_HEADER_LENGTH + 3, number + 100));
      };
      await withNumbered(left, right, async (numbered) => {
        await withQueue(left, { match: SHIM6 }, byNumber, async () => {
          numbered.send(100);
          const expected = numbers(100)
            .filter((i) => i < 20 || i % 3 !== 1)
            .map((i) => (i >= 20 && i % 3 === 2 ? i + 100 : i));
          await until("the last", () => numbered.arrived.includes(99));
          expect(numbered.arrived).toEqual(expected);
          expect(batches).toEqual([64, 36]);
        });
      });
    });
  });

  test("a packet may come back longer than it went in", async () => {
    await withVethPair(async (left, right) => {
      const received: Uint8Array[] = [];
      const receiver = right.enter(() =>
        openShim6Socket(({ bytes }) => received.push(bytes), fail),
      );
      const sender = left.enter(() => openShim6Socket(() => undefined, fail));
      const longer: BatchHandler = (packets, verdicts) => {
        for (const { id, payload } of packets) {
          const packet = Uint8Array.of(...payload, 5, 6, 7, 8);
          packet[PAYLOAD_LENGTH_OFFSET + 1] = 8;
          verdicts.replace(id, packet);
          packet.fill(0);
        }
      };
      await withQueue(left, { match: SHIM6 }, longer, async () => {
        const bytes = Uint8Array.of(59, 0, 1, 4);
        sender.send({ source: LEFT, destination: RIGHT, bytes });
        await until("the packet", () => received.length > 0);
        expect(received).toEqual([Uint8Array.of(59, 0, 1, 4, 5, 6, 7, 8)]);
      });
      sender.close();
      receiver.close();
    });
  });

  test("verdicts may come in any order", async () => {
    await withVethPair(async (left, right) => {
      const lastFirst: BatchHandler = (packets, verdicts) => {
        for (const { id, payload } of packets.toReversed()) {
          if (numberOf(payload) === 0) verdicts.drop(id);
          else verdicts.accept(id);
        }
      };
      await withNumbered(left, right, async (numbered) => {
        await withQueue(left, { match: SHIM6 }, lastFirst, async () => {
          numbered.send(10);
          await until("the packets", () => numbered.arrived.length >= 9);
          expect(numbered.arrived).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1]);
        });
      });
    });
  });

  test("the copy range cuts the payload and leaves the length", async () => {
    await withVethPair(async (left) => {
      const seen: number[][] = [];
      const accept: BatchHandler = (packets, verdicts) => {
        for (const { id, payload, length } of packets) {
          seen.push([payload.length, length]);
          verdicts.accept(id);
        }
      };
      const match = "-p icmpv6 --icmpv6-type echo-request";
      await withQueue(left, { match, copyRange: 64 }, accept, async () => {
        await left.run("ping", "-6", "-c1", "-W2", "-s1000", RIGHT);
        await left.run("ping", "-6", "-c1", "-W2", "-s8", RIGHT);
      });
      expect(seen).toEqual([
        [64, 1048],
        [56, 56],
      ]);
    });
  });

  test.each([
    ["whole, with the GSO flag", true],
    ["in segments of the MTU, without the GSO flag", false],
  ])("TCP's super-packets come %s", async (_, gso) => {
    await withVethPair(async (left, right) => {
      let longest = 0;
      const accept: BatchHandler = (packets, verdicts) => {
        for (const { id, length } of packets) {
          longest = Math.max(longest, length);
          verdicts.accept(id);
        }
      };
      await withQueue(left, { match: TCP, gso, copyRange: 64 }, accept, async () => {
        const octets = right.run(process.execPath, "-e", TCP_RECEIVER);
        await listening(right);
        await left.run(process.execPath, "-e", TCP_SENDER, RIGHT);
        expect(await octets).toBe("4000000\n");
      });
      expect(longest > 1500).toBe(gso);
    });
  });
});

describe("a full netfilter queue", () => {
  test("it drops, and counts what it dropped", async () => {
    await withVethPair(async (left, right) => {
      await withNumbered(left, right, async (numbered) => {
        await withQueue(left, { match: SHIM6, maxLength: 8 }, acceptAll, async (queue) => {
          numbered.send(50);
          expect(left.enter(() => queue.overruns)).toBe(42);
          await until("the packets", () => numbered.arrived.length >= 8);
          expect(numbered.arrived).toEqual(numbers(8));
        });
      });
    });
  });

  test("with fail-open it lets packets pass", async () => {
    await withVethPair(async (left, right) => {
      await withNumbered(left, right, async (numbered) => {
        const options = { match: SHIM6, maxLength: 8, failOpen: true };
        await withQueue(left, options, acceptAll, async (queue) => {
          numbered.send(50);
          await until("the packets", () => numbered.arrived.length >= 50);
          expect(numbered.arrived.toSorted((a, b) => a - b)).toEqual(numbers(50));
          expect(left.enter(() => queue.overruns)).toBe(0);
        });
      });
    });
  });
});

describe("binding a netfilter queue", () => {
  test("a queue that is taken is EBUSY, and free again once it is closed", async () => {
    await withVethPair((left) => {
      const open = () => left.enter(() => openQueue(OPTIONS, acceptAll, fail));
      const first = open();
      expect(open).toThrow(
        expect.objectContaining({
          code: "EBUSY",
          message: expect.stringContaining("NFQUEUE number 7"),
        }),
      );
      first.close();
      open().close();
    });
  });

  test("without the privilege the error names the remedy", async () => {
    await withVethPair((left) => {
      const openAsNobody = () => {
        process.seteuid?.(65_534);
        try {
          if (effectiveCapabilities().has("CAP_NET_ADMIN")) throw new Error("still privileged");
          return openQueue(OPTIONS, acceptAll, fail);
        } finally {
          process.seteuid?.(0);
        }
      };
      expect(() => left.enter(openAsNobody)).toThrow(
        expect.objectContaining({
          code: "EPERM",
          message: expect.stringContaining("CAP_NET_ADMIN"),
        }),
      );
    });
  });
});

const acceptAll: BatchHandler = (packets, verdicts) => {
  for (const { id } of packets) verdicts.accept(id);
};

async function listening(namespace: TestNamespace): Promise<void> {
  for (;;) {
    if ((await namespace.run("ss", "-ltnH")).includes(":9000")) return;
  }
}
