import { describe, expect, test } from "vitest";
import { DataPlaneError } from "../../../src/dataplane/dataplane.ts";
import {
  type DeviceSystem,
  openUlidDevice,
  removeUlidDevice,
} from "../../../src/dataplane/ebpf/ulid-device.ts";
import { isOurLink, type Link } from "../../../src/linux/rtnetlink.ts";
import type { VethPairEdit } from "../../../src/linux/rtnetlink-encode.ts";

const OURS = { alias: "l3shim", kind: "veth" };

function link(index: number, name: string, fields: Partial<Link> = {}): Link {
  const base = { index, name, up: true, mtu: 1500, loopback: false, ethernet: true };
  return { ...base, ...fields } as unknown as Link;
}

/** A host with these links, that makes and deletes veth pairs. */
class FakeSystem implements DeviceSystem {
  readonly present: Link[];
  readonly done: string[] = [];

  constructor(...present: Link[]) {
    this.present = present;
  }

  links(): readonly Link[] {
    return [...this.present];
  }

  addVethPair({ name, peerName }: VethPairEdit): void {
    this.done.push("add");
    this.present.push(link(21, name, { ...OURS, up: false }), link(20, peerName, OURS));
  }

  setLinkUp(index: number, up: boolean): void {
    this.done.push(`${up ? "up" : "down"} ${index}`);
  }

  deleteLink(index: number): void {
    this.done.push(`delete ${index}`);
    const name = this.present.find((each) => each.index === index)?.name ?? "";
    const gone = this.present.filter((each) => each.name.startsWith(name));
    for (const each of gone) this.present.splice(this.present.indexOf(each), 1);
  }

  disableOffloads(name: string): void {
    this.done.push(`offloads ${name}`);
  }
}

test("the fake's links are told apart as the kernel's are", () => {
  expect(isOurLink(link(1, "l3shim0", OURS))).toBe(true);
  expect(isOurLink(link(1, "l3shim0", { kind: "veth" }))).toBe(false);
});

describe("the ULID device", () => {
  test("is made, without offloads before it is up, the shim's side first", () => {
    const system = new FakeSystem(link(1, "lo"));
    expect(openUlidDevice(system)).toMatchObject({ hostSide: 21, shimSide: 20 });
    expect(system.done).toEqual(["add", "offloads l3shim0", "up 20", "up 21"]);
  });

  test("of an earlier run is used as it is", () => {
    const system = new FakeSystem(link(5, "l3shim0", OURS), link(4, "l3shim0p", OURS));
    expect(openUlidDevice(system)).toMatchObject({ hostSide: 5, shimSide: 4 });
    expect(system.done).toEqual([]);
  });

  test("that is down, or has lost an end, is made anew", () => {
    const down = link(5, "l3shim0", { ...OURS, up: false });
    for (const rest of [[link(4, "l3shim0p", OURS)], []]) {
      const system = new FakeSystem(down, ...rest);
      expect(openUlidDevice(system)).toMatchObject({ hostSide: 21, shimSide: 20 });
      expect(system.done.slice(0, 2)).toEqual(["delete 5", "add"]);
    }
  });

  test.each(["l3shim0", "l3shim0p"])("is refused where %s is another's, which stays", (name) => {
    const system = new FakeSystem(link(3, name, { kind: "dummy" }));
    expect(() => openUlidDevice(system)).toThrow(DataPlaneError);
    expect(() => openUlidDevice(system)).toThrow(`link ${name} that is not`);
    expect(system.done).toEqual([]);
    removeUlidDevice(system);
    expect(system.done).toEqual([]);
  });

  test("is removed by its host's side, and once", () => {
    const system = new FakeSystem(link(5, "l3shim0", OURS), link(4, "l3shim0p", OURS));
    removeUlidDevice(system);
    removeUlidDevice(system);
    expect(system.done).toEqual(["delete 5"]);
  });
});
