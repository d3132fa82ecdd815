import { describe, expect, test } from "vitest";
import { openIcmp6Socket } from "../../src/linux/icmp6-socket.ts";
import type { ReceivedMessage } from "../../src/linux/raw-socket.ts";
import { openShim6Socket, type Shim6Socket } from "../../src/linux/shim6-socket.ts";
import { writeSysctl } from "../../src/linux/sysctl.ts";
import { SystemError } from "../../src/linux/system-error.ts";
import { type Address, parseAddress, writeAddress } from "../../src/wire/address.ts";
import { parseIcmpError } from "../../src/wire/icmp6.ts";
import { type TestNamespace, until, withVethPair } from "./support/namespaces.ts";

const LEFT = address("2001:db8::1");
const RIGHT = address("2001:db8::2");

/** An I1 by its fixed part: next header 59, one more unit of 8 octets, type 1, P clear. */
const CONTROL = Uint8Array.from([59, 1, 0x01, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
/** A Probe by its first octets: no I1, I2 or I2bis. */
const PROBE = Uint8Array.from([59, 1, 0x42, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
/** A payload extension header: P set. */
const PAYLOAD = Uint8Array.from([59, 0, 0x80, 1, 2, 3, 4, 5]);

function address(text: string): Address {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(`not an address: ${text}`);
  return parsed;
}

/** A control socket in `namespace` and all that it received. */
function openIn(namespace: TestNamespace): { socket: Shim6Socket; received: ReceivedMessage[] } {
  const received: ReceivedMessage[] = [];
  const socket = namespace.enter(() => openShim6Socket((message) => received.push(message), fail));
  return { socket, received };
}

async function interfaceIndex(namespace: TestNamespace): Promise<number> {
  return JSON.parse(await namespace.run("ip", "-j", "link", "show", "eth0"))[0].ifindex;
}

describe("the socket for Shim6 control messages", () => {
  test("a message arrives with its addresses, its interface and its octets", async () => {
    await withVethPair(async (left, right) => {
      const [sender, receiver] = [openIn(left), openIn(right)];
      sender.socket.send({ source: LEFT, destination: RIGHT, bytes: CONTROL });
      await until("the message", () => receiver.received.length > 0);
      expect(receiver.received).toEqual([
        {
          source: LEFT,
          destination: RIGHT,
          interface: await interfaceIndex(right),
          bytes: CONTROL,
        },
      ]);
      sender.socket.close();
      receiver.socket.close();
    });
  });

  test("payload (P=1) is not delivered", async () => {
    await withVethPair(async (left, right) => {
      const [sender, receiver] = [openIn(left), openIn(right)];
      for (const bytes of [PAYLOAD, CONTROL, PAYLOAD, CONTROL]) {
        sender.socket.send({ source: LEFT, destination: RIGHT, bytes });
      }
      await until("both messages", () => receiver.received.length >= 2);
      expect(receiver.received.map(({ bytes }) => bytes)).toEqual([CONTROL, CONTROL]);
      sender.socket.close();
      receiver.socket.close();
    });
  });

  test("a burst beyond one batch arrives whole and in order", async () => {
    await withVethPair(async (left, right) => {
      const [sender, receiver] = [openIn(left), openIn(right)];
      const octets = Array.from({ length: 200 }, (_, i) => i);
      for (const i of octets) {
        const bytes = Uint8Array.from([...CONTROL.subarray(0, 15), i]);
        sender.socket.send({ source: LEFT, destination: RIGHT, bytes });
      }
      await until("the burst", () => receiver.received.length >= octets.length);
      expect(receiver.received.map(({ bytes }) => bytes[15])).toEqual(octets);
      sender.socket.close();
      receiver.socket.close();
    });
  });

  test("what strangers begin waits or is dropped, and nothing else for it", async () => {
    await withVethPair(async (left, right) => {
      await left.ip6("address add 2001:db8::11/64 dev eth0 nodad");
      const [sender, receiver] = [openIn(left), openIn(right)];
      const known = address("2001:db8::11");
      receiver.socket.acquaint(known);
      // The filters follow a little later.
      await new Promise((resolve) => setTimeout(resolve, 50));
      for (let i = 0; i < 3000; i++) {
        sender.socket.send({ source: LEFT, destination: RIGHT, bytes: CONTROL });
      }
      sender.socket.send({ source: known, destination: RIGHT, bytes: CONTROL });
      sender.socket.send({ source: LEFT, destination: RIGHT, bytes: PROBE });
      const isOthers = ({ source, bytes }: ReceivedMessage) =>
        source === known || bytes[2] === 0x42;
      await until("both others", () => receiver.received.filter(isOthers).length === 2);
      const { overruns } = receiver.socket;
      expect(overruns).toMatchObject({ context: 0, acquaintances: 0 });
      expect(overruns.strangers).toBeGreaterThan(1000);
      const expected = 3002 - overruns.strangers;
      expect(receiver.received.length).toBeLessThan(expected);
      await until("the strangers", () => receiver.received.length >= expected);
      sender.socket.close();
      receiver.socket.close();
    });
  });

  test("hundreds of acquaintances are told from strangers", async () => {
    await withVethPair(async (left, right) => {
      const sources = Array.from({ length: 300 }, (_, i) => `2001:db8::a:${(i + 1).toString(16)}`);
      left.ip6Batch(sources.map((each) => `address add ${each}/64 dev eth0 nodad`));
      const [sender, receiver] = [openIn(left), openIn(right)];
      for (const each of sources) receiver.socket.acquaint(address(each));
      await new Promise((resolve) => setTimeout(resolve, 50));
      for (let i = 0; i < 3000; i++) {
        sender.socket.send({ source: LEFT, destination: RIGHT, bytes: CONTROL });
      }
      for (const each of sources) {
        sender.socket.send({ source: address(each), destination: RIGHT, bytes: CONTROL });
      }
      const from = () => new Set(receiver.received.map(({ source }) => source as string));
      // The newest 256 come at once, whatever waits; the others stand in the line.
      await until("the acquaintances", () => sources.slice(-256).every((each) => from().has(each)));
      expect(receiver.socket.overruns).toMatchObject({ context: 0, acquaintances: 0 });
      sender.socket.close();
      receiver.socket.close();
    });
  });

  test("the source chooses among several addresses of the host", async () => {
    await withVethPair(async (left, right) => {
      await left.ip6("address add 2001:db8::11/64 dev eth0 nodad");
      const [sender, receiver] = [openIn(left), openIn(right)];
      const source = address("2001:db8::11");
      sender.socket.send({ source, destination: RIGHT, bytes: CONTROL });
      await until("the message", () => receiver.received.length > 0);
      expect(receiver.received[0]?.source).toBe(source);
      sender.socket.close();
      receiver.socket.close();
    });
  });

  test("a source that the host does not have is EINVAL and names the addresses", async () => {
    await withVethPair((left) => {
      const { socket } = openIn(left);
      const message = { source: address("2001:db8::99"), destination: RIGHT, bytes: CONTROL };
      expect(() => socket.send(message)).toThrow(
        expect.objectContaining({ code: "EINVAL", message: expect.stringContaining("::99") }),
      );
      expect(() => socket.send(message)).toThrow(SystemError);
      socket.close();
    });
  });
});

describe("the socket for ICMPv6", () => {
  test("errors arrive, and nothing else", async () => {
    await withVethPair(async (left, right) => {
      await left.ip6("route add default via 2001:db8::2");
      right.enter(() => writeSysctl("net/ipv6/conf/all/forwarding", 1));
      const received: ReceivedMessage[] = [];
      const socket = left.enter(() => openIcmp6Socket((message) => received.push(message), fail));
      await left.run("ping", "-6", "-c1", "-W1", "2001:db8::2");
      await expect(left.run("ping", "-6", "-c1", "-W1", "2001:db8:9::1")).rejects.toThrow();
      await until("the error", () => received.length > 0);
      expect(received).toHaveLength(1);
      expect(received[0]).toMatchObject({ source: RIGHT, destination: LEFT });
      const error = parseIcmpError(received[0]?.bytes ?? new Uint8Array(0));
      expect(error).toMatchObject({ ok: true, value: { type: 1, code: 0 } });
      socket.close();
    });
  });

  test("a Packet Too Big in a router's name lowers the path MTU of this host", async () => {
    await withVethPair(async (left) => {
      const socket = left.enter(() => openIcmp6Socket(() => undefined, fail));
      const router = address("2001:db8::ff");
      const bytes = packetTooBig(1300, echoRequest(LEFT, RIGHT));
      socket.send({ source: router, destination: LEFT, bytes });
      expect(await left.ip6("route get 2001:db8::2")).toContain("mtu 1300");
      socket.close();
    });
  });
});

function fail(error: Error): never {
  throw error;
}

/** RFC 4443 section 3.2; the kernel fills in the checksum. */
function packetTooBig(mtu: number, packetInError: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(8 + packetInError.length);
  bytes[0] = 2;
  new DataView(bytes.buffer).setUint32(4, mtu);
  bytes.set(packetInError, 8);
  return bytes;
}

function echoRequest(source: Address, destination: Address): Uint8Array {
  const packet = new Uint8Array(48);
  packet.set([0x60, 0, 0, 0, 0, 8, 58, 64]);
  writeAddress(source, packet, 8);
  writeAddress(destination, packet, 24);
  packet[40] = 128;
  return packet;
}
