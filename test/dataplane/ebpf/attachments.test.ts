import { beforeEach, expect, test } from "vitest";
import { type AttachedProgram, Attachments } from "../../../src/dataplane/ebpf/attachments.ts";
import { literal } from "../../../src/lab/topology.ts";
import type { BpfProgram } from "../../../src/linux/bpf-program.ts";
import type { InterfaceAddress, Link } from "../../../src/linux/rtnetlink.ts";
import { SystemError } from "../../../src/linux/system-error.ts";
import { addressToBytes } from "../../../src/wire/address.ts";
import { FakeMap, hex } from "./support/fake-map.ts";

const OWN_LINK = 99;
const ENODEV = 19;
const EPERM = 1;

/** A program on a link, there until it is removed. */
class FakeAttached implements AttachedProgram {
  inPlace = true;
  held = true;
  readonly program: string;

  constructor(program: string) {
    this.program = program;
  }

  isInPlace(): boolean {
    return this.inPlace;
  }

  remove(): void {
    this.inPlace = false;
    this.held = false;
  }

  release(): void {
    this.held = false;
  }
}

let all: FakeAttached[];
let newest: Map<string, FakeAttached>;
let locals: FakeMap;
let warnings: string[];
let failure: SystemError | undefined;

beforeEach(() => {
  all = [];
  newest = new Map();
  locals = new FakeMap("local");
  warnings = [];
  failure = undefined;
});

function open(): Attachments {
  return new Attachments({
    attach: (program, link, direction, pinPath) => {
      if (failure !== undefined) throw failure;
      expect(pinPath).toBe(`/pins/link-${link}-${direction}`);
      const made = new FakeAttached(program.name);
      all.push(made);
      newest.set(`${link}-${direction}`, made);
      return made;
    },
    program: (name) => ({ name }) as unknown as BpfProgram,
    pinPath: (name) => `/pins/${name}`,
    locals,
    ownLinks: new Set([OWN_LINK]),
    warn: (message) => warnings.push(message),
  });
}

function link(index: number, fields: Partial<Link> = {}): Link {
  return { index, name: `eth${index}`, loopback: false, ethernet: true, ...fields } as Link;
}

function address(text: string, on: number): InterfaceAddress {
  return { address: literal(text), link: on } as InterfaceAddress;
}

function programs(): Record<string, string> {
  const inPlace = [...newest].filter(([, each]) => each.inPlace);
  return Object.fromEntries(inPlace.map(([key, { program }]) => [key, program]));
}

const BOTH = { "2-ingress": "uplink_in", "2-egress": "uplink_out" };
const ONE = { links: [link(2)], addresses: [address("2001:db8::1", 2)] };

test("links with a global address get programs, others, loopback and our own do not", () => {
  open().apply({
    links: [link(1, { loopback: true }), link(2), link(3), link(OWN_LINK)],
    addresses: [
      address("2001:db8::9", 1),
      address("fd00::1", 2),
      address("fe80::1", 3),
      address("2001:db8::1", OWN_LINK),
    ],
  });
  expect(programs()).toEqual(BOTH);
});

test("a link without Ethernet headers gets the programs for such", () => {
  open().apply({ ...ONE, links: [link(2, { ethernet: false })] });
  expect(programs()).toEqual({ "2-ingress": "uplink_in_raw", "2-egress": "uplink_out_raw" });
});

test("a link keeps them when its address goes, and loses them when it goes itself", () => {
  const attachments = open();
  attachments.apply(ONE);
  attachments.apply({ ...ONE, addresses: [] });
  expect(programs()).toEqual(BOTH);
  attachments.apply({ links: [], addresses: [] });
  expect(programs()).toEqual({});
});

test("nothing is attached twice", () => {
  const attachments = open();
  attachments.apply(ONE);
  attachments.apply(ONE);
  expect(all).toHaveLength(2);
});

test("a new link that has the index of one that went gets its own programs", () => {
  const attachments = open();
  attachments.apply(ONE);
  const before = [...all];
  for (const old of before) old.inPlace = false;
  attachments.apply(ONE);
  expect(before.map(({ held }) => held)).toEqual([false, false]);
  expect(all).toHaveLength(4);
  expect(programs()).toEqual(BOTH);
});

test("when it ends all programs are taken off, our own link's too", () => {
  const attachments = open();
  attachments.attachOwn("ulid_device", OWN_LINK);
  attachments.apply({ ...ONE, links: [link(2), link(OWN_LINK)] });
  expect(programs()).toEqual({ ...BOTH, [`${OWN_LINK}-ingress`]: "ulid_device" });
  attachments.detach();
  expect(programs()).toEqual({});
});

test("a link that goes in the meantime is no matter; what else fails is told, and tried again", () => {
  const attachments = open();
  failure = new SystemError("attach", "bpf", ENODEV);
  attachments.apply(ONE);
  expect(warnings).toEqual([]);
  failure = new SystemError("attach", "bpf", EPERM);
  attachments.apply(ONE);
  expect(warnings).toHaveLength(2);
  failure = undefined;
  attachments.apply(ONE);
  expect(programs()).toEqual(BOTH);
});

test("released programs stay where they are", () => {
  const attachments = open();
  attachments.apply(ONE);
  attachments.release();
  expect(all.map(({ held }) => held)).toEqual([false, false]);
  expect(programs()).toEqual(BOTH);
});

test("the kernel's half knows the host's global addresses, loopback's too, and no others", () => {
  const attachments = open();
  const on = { links: [link(1, { loopback: true }), link(2)] };
  attachments.apply({
    ...on,
    addresses: [address("2001:db8::1", 2), address("fe80::1", 2), address("fd00::7", 1)],
  });
  const keys = (): string[] => [...locals.values.keys()].sort();
  const of = (...texts: string[]): string[] =>
    texts.map((text) => hex(addressToBytes(literal(text)))).sort();
  expect(keys()).toEqual(of("2001:db8::1", "fd00::7"));
  attachments.apply({ ...on, addresses: [address("2001:db8::2", 2)] });
  expect(keys()).toEqual(of("2001:db8::2"));
  expect(attachments.isLocal(literal("2001:db8::2"))).toBe(true);
  expect(attachments.isLocal(literal("2001:db8::1"))).toBe(false);
});

test("an address of an earlier run that is gone is forgotten", () => {
  locals.update(addressToBytes(literal("2001:db8::77")), new Uint8Array(4));
  open().apply(ONE);
  expect([...locals.values.keys()]).toEqual([hex(addressToBytes(literal("2001:db8::1")))]);
});
