import { describe, expect, test } from "vitest";
import { readOffload, setOffload } from "../../src/linux/ethtool.ts";
import { RouteEditor } from "../../src/linux/route-editor.ts";
import { isOurLink, type Link } from "../../src/linux/rtnetlink.ts";
import { type TestNamespace, until, withVethPair } from "./support/namespaces.ts";

const PAIR = {
  name: "shim0",
  peerName: "shim0p",
  mtu: 1492,
  peerMtu: 1500,
  noArp: true,
  addressGeneration: "none",
} as const;

interface Host {
  readonly namespace: TestNamespace;
  readonly editor: RouteEditor;
  link(name: string): Link | undefined;
  index(name: string): number;
}

async function withHost(use: (host: Host) => Promise<void> | void): Promise<void> {
  await withVethPair(async (namespace) => {
    const editor = namespace.enter(() => new RouteEditor());
    const link = (name: string) => editor.read().links.find((each) => each.name === name);
    try {
      await use({ namespace, editor, link, index: (name) => link(name)?.index ?? 0 });
    } finally {
      editor.close();
    }
  });
}

describe("a veth pair", () => {
  test("it is made as asked for, marked as ours, without an address; and deleted", async () => {
    await withHost(async ({ namespace, editor, link, index }) => {
      editor.addVethPair(PAIR);
      const marks = { alias: "l3shim", group: 140, kind: "veth", up: false };
      expect(link("shim0")).toMatchObject({ ...marks, mtu: 1492 });
      expect(link("shim0p")).toMatchObject({ ...marks, mtu: 1500 });
      for (const name of ["shim0", "shim0p"]) {
        expect(await namespace.link(`show dev ${name}`)).toContain("NOARP");
        editor.setLinkUp(index(name), true);
      }
      await until("carrier", () => link("shim0")?.running === true);
      const { addresses } = editor.read();
      expect(addresses.filter((each) => each.link === index("shim0"))).toEqual([]);
      expect(addresses.filter((each) => each.link === index("shim0p"))).toEqual([]);
      expect(editor.read().links.filter(isOurLink).length).toBe(2);

      editor.deleteLink(index("shim0p"));
      expect(editor.read().links.filter(isOurLink)).toEqual([]);
      expect(() => editor.deleteLink(999_999)).toThrow(expect.objectContaining({ code: "ENODEV" }));
    });
  });

  test("with ARP and address generation it has what every link has", async () => {
    await withHost(async ({ namespace, editor, index }) => {
      editor.addVethPair({ ...PAIR, noArp: false, addressGeneration: "eui64" });
      for (const name of ["shim0", "shim0p"]) editor.setLinkUp(index(name), true);
      expect(await namespace.link("show dev shim0")).not.toContain("NOARP");
      await until("a link-local address", () =>
        editor.read().addresses.some((each) => each.link === index("shim0")),
      );
    });
  });

  test("a link of somebody else is not ours, and keeps its name and what it is", async () => {
    await withHost(({ editor, link }) => {
      const before = link("eth0");
      expect(before && isOurLink(before)).toBe(false);
      for (const names of [{ name: "eth0" }, { peerName: "eth0" }]) {
        expect(() => editor.addVethPair({ ...PAIR, ...names })).toThrow(
          expect.objectContaining({ code: "EEXIST" }),
        );
      }
      expect(link("eth0")).toEqual(before);
      expect(link("shim0")).toBeUndefined();
      expect(link("shim0p")).toBeUndefined();
    });
  });

  test("its MTU changes", async () => {
    await withHost(({ editor, link, index }) => {
      editor.addVethPair(PAIR);
      editor.setLinkMtu(index("shim0"), 1400);
      expect(link("shim0")?.mtu).toBe(1400);
      expect(() => editor.setLinkMtu(index("shim0"), 20)).toThrow(
        /^cannot set the MTU of link \d+ to 20: netlink: EINVAL/,
      );
    });
  });
});

describe("offloads of a link", () => {
  test("they are switched off and on, one by one", async () => {
    await withHost(({ namespace, editor }) => {
      editor.addVethPair(PAIR);
      namespace.enter(() => {
        for (const offload of ["tso", "gso", "gro", "txChecksum"] as const) {
          setOffload("shim0", offload, true);
          expect(readOffload("shim0", offload)).toBe(true);
          setOffload("shim0", offload, false);
          expect(readOffload("shim0", offload)).toBe(false);
          expect(readOffload("shim0p", "tso")).toBe(true);
        }
      });
    });
  });

  test("without segmentation and checksums, no kind of super-packet is left to it", async () => {
    await withHost(async ({ namespace, editor }) => {
      editor.addVethPair(PAIR);
      namespace.enter(() => {
        for (const offload of ["tso", "gso", "txChecksum"] as const) {
          setOffload("shim0", offload, false);
        }
      });
      const features = await namespace.run("ethtool", "-k", "shim0");
      expect(features).toMatch(/^generic-segmentation-offload: off$/m);
      expect(features).toMatch(/^\ttx-tcp6-segmentation: off$/m);
      expect(features).toMatch(/^\ttx-checksum-ip-generic: off$/m);
    });
  });

  test("an interface that does not exist is an error", () => {
    expect(() => readOffload("no-such-link", "tso")).toThrow(
      /^cannot read tso of no-such-link: ioctl: ENODEV/,
    );
    expect(() => setOffload("no-such-link", "tso", false)).toThrow(/^cannot switch off tso/);
  });
});
