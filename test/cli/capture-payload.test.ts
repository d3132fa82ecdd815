import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ControlClient } from "../../src/client/control-client.ts";
import type { SeenPacket } from "../../src/linux/packet-socket.ts";
import { type Address, addressToBytes } from "../../src/wire/address.ts";
import { addPayloadHeader } from "../../src/wire/payload.ts";
import { readCapture } from "../../src/wire/pcap.ts";
import { type ContextTag, parseTag } from "../../src/wire/tag.ts";
import { address } from "../daemon/fakes.ts";
import { A1, A2, B1, B2, type TestDaemon, Workshop } from "../daemon/fixture.ts";
import { l3shim } from "./capture.ts";

const PORT = 61_140;
const STRANGER = address("2001:db8:c1::c");
const TCP = 6;
const LENGTH = 200;

let workshop: Workshop;

beforeEach(() => {
  workshop = new Workshop();
});

afterEach(() => workshop.close());

interface Setting {
  readonly a: TestDaemon;
  /** Of the context, at either end. */
  readonly tags: { readonly local: ContextTag; readonly peer: ContextTag };
}

/** What the first host captures of a context on A1 and B1 and of packets that pass then. */
async function capture(payload: readonly string[], pass: (setting: Setting) => void) {
  const { a, b } = await workshop.establish(`encapsulation = { enabled = true, port = ${PORT} }`);
  const file = join(workshop.directory, "payload.pcapng");
  const over = l3shim("capture", "-w", file, ...payload, "--socket", a.socket);
  while (!a.daemon.captures.hasReaders) await new Promise(setImmediate);
  pass({ a, tags: { local: tagAt(a), peer: tagAt(b) } });
  await a.daemon.stop();
  expect(await over).toMatchObject({ status: 0, stderr: "" });
  expect(a.packets.isOpen).toBe(false);
  return readCapture(readFileSync(file)).packets.filter(
    ({ comment }) => comment?.startsWith("payload") === true,
  );
}

function tagAt({ daemon }: TestDaemon): ContextTag {
  const tag = parseTag([...daemon.contexts()][0]?.localTag ?? "");
  if (tag === undefined) throw new Error("no context");
  return tag;
}

function plain(source: Address, destination: Address): Uint8Array {
  const packet = new Uint8Array(LENGTH);
  packet.set([0x60, 0, 0, 0, 0, LENGTH - 40, TCP, 64]);
  packet.set(addressToBytes(source), 8);
  packet.set(addressToBytes(destination), 24);
  return packet;
}

function shimmed(source: Address, destination: Address, tag: ContextTag, port?: number) {
  const ends = [addressToBytes(source), addressToBytes(destination)] as const;
  const made = addPayloadHeader(plain(source, destination), ...ends, tag, port);
  if (!made.ok) throw new Error(made.error);
  return made.value;
}

/** On the uplink of this number. */
function seen(direction: "out" | "in", bytes: Uint8Array, link = 1): SeenPacket {
  return { at: 1_700_000_000_000_000 + link, interface: link, direction, bytes };
}

test("payload of contexts is captured as it is on the wire, both ways, cut", async () => {
  const packets = await capture(["--payload", "48"], ({ a, tags }) => {
    a.packets.pass(seen("out", plain(A1, B1)));
    a.packets.pass(seen("in", plain(B1, A1)));
    a.packets.pass(seen("out", shimmed(A2, B2, tags.peer), 2));
    a.packets.pass(seen("in", shimmed(B2, A2, tags.local, PORT), 2));
  });
  const comments = packets.map(({ comment }) =>
    comment?.replace(/context [0-9a-f]{12}/, "context TAG"),
  );
  expect(comments).toMatchInlineSnapshot(`
    [
      "payload out; context TAG; 2001:db8:a1::a > 2001:db8:b1::b; pair: 2001:db8:a1::a > 2001:db8:b1::b; plain",
      "payload in; context TAG; 2001:db8:a1::a > 2001:db8:b1::b; pair: 2001:db8:a1::a > 2001:db8:b1::b; plain",
      "payload out; context TAG; 2001:db8:a1::a > 2001:db8:b1::b; pair: 2001:db8:a2::a > 2001:db8:b2::b; with payload extension header",
      "payload in; context TAG; 2001:db8:a1::a > 2001:db8:b1::b; pair: 2001:db8:a2::a > 2001:db8:b2::b; with payload extension header",
    ]
  `);
  expect(packets.map(({ bytes }) => bytes.length)).toEqual([48, 48, 48, 48]);
  expect(packets[2]?.timestamp).toBe(1_700_000_000_000_002_000n);
});

test("96 octets unless told otherwise, and never what the link layer puts behind the packet", async () => {
  const padded = new Uint8Array(60);
  padded.set(plain(A1, B1).subarray(0, 45));
  padded[5] = 5;
  const packets = await capture(["--payload"], ({ a }) => {
    a.packets.pass(seen("out", plain(A1, B1)));
    a.packets.pass(seen("out", padded));
  });
  expect(packets.map(({ bytes }) => bytes.length)).toEqual([96, 45]);
});

test("nothing else is captured", async () => {
  const packets = await capture(["--payload"], ({ a, tags }) => {
    const control = shimmed(A1, B1, tags.peer);
    control[42] = 0;
    const strangers = [
      plain(A1, STRANGER),
      plain(A1, B2),
      shimmed(A1, STRANGER, tags.peer),
      shimmed(A1, B1, tags.local),
      control,
      plain(A1, B1).subarray(0, 30),
    ];
    for (const bytes of strangers) a.packets.pass(seen("out", bytes));
    a.packets.pass(seen("in", shimmed(B1, A1, tags.peer)));
    a.packets.pass(seen("out", plain(A1, B1), 7));
  });
  expect(packets).toEqual([]);
});

test("the next comment says how much passed unseen", async () => {
  const packets = await capture(["--payload"], ({ a }) => {
    a.packets.missed = 12;
    a.packets.pass(seen("out", plain(A1, B1)));
    a.packets.pass(seen("out", plain(A1, B1)));
  });
  const says = packets.map(({ comment }) => comment?.includes("; 12 IPv6 packets of this host"));
  expect(says).toEqual([true, false]);
});

test("without --payload nobody looks at packets", async () => {
  const packets = await capture([], ({ a }) => {
    expect(a.packets.isOpen).toBe(false);
    a.packets.pass(seen("out", plain(A1, B1)));
  });
  expect(packets).toEqual([]);
});

test("a socket that fails ends the capture, not the daemon", async () => {
  await capture(["--payload"], ({ a }) => {
    a.packets.fail(new Error("no more packets"));
    expect(a.daemon.captures.hasReaders).toBe(false);
    expect(a.logged.some(({ msg }) => String(msg).includes("no more packets"))).toBe(true);
    expect(a.failures).toEqual([]);
  });
});

test.each(["39", "65536", "many"])("%s octets are refused", async (octets) => {
  const { status, stderr } = await l3shim("capture", "-w", "-", "--payload", octets);
  expect(status).toBe(2);
  expect(stderr).toContain("It must be a whole number from 40 to 65535.");
});

test("the control API refuses such a number, too", async () => {
  const [{ socket }] = await workshop.createPair();
  const reading = new ControlClient(socket).capture({ payload: 39 }).next();
  await expect(reading).rejects.toThrow(
    "payload: must be a whole number from 40 to 65535 (octets)",
  );
});
