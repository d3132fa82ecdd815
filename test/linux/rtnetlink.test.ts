import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BodyWriter, NetlinkFormatError, type NetlinkMessage } from "../../src/linux/netlink.ts";
import { ANY_PREFIX, isDefaultRoute, L3SHIM_ROUTE_PROTOCOL } from "../../src/linux/rtnetlink.ts";
import {
  decodeAddress,
  decodeLink,
  decodeNeighbor,
  decodeRoutes,
  decodeRule,
} from "../../src/linux/rtnetlink-decode.ts";
import { encodeAddress, encodeRoute, encodeRule } from "../../src/linux/rtnetlink-encode.ts";
import { addressFromBytes, addressToBytes } from "../../src/wire/address.ts";

const u32 = fc.integer({ min: 0, max: 0xffff_fffe });
const address = fc
  .uint8Array({ minLength: 16, maxLength: 16 })
  .map((bytes) => addressFromBytes(bytes));
const prefix = fc.record({ address, length: fc.integer({ min: 1, max: 128 }) });
const lifetime = fc.option(u32, { nil: undefined });

function message(type: number, body: Uint8Array): NetlinkMessage {
  return { type, flags: 0, sequence: 1, body };
}

describe("addresses", () => {
  test("what we ask for is what we read back", () => {
    const edit = fc.record({
      address,
      prefixLength: fc.integer({ min: 0, max: 128 }),
      link: fc.integer({ min: 1, max: 0x7fff_ffff }),
      noDad: fc.boolean(),
      preferredLifetime: lifetime,
      validLifetime: lifetime,
      noPrefixRoute: fc.boolean(),
    });
    fc.assert(
      fc.property(edit, (asked) => {
        const { noPrefixRoute: _, ...expected } = asked;
        expect(decodeAddress(message(20, encodeAddress(asked)))).toEqual({
          ...expected,
          scope: "global",
          tentative: false,
          optimistic: false,
          dadFailed: false,
          deprecated: false,
          temporary: false,
          permanent: false,
          protocol: L3SHIM_ROUTE_PROTOCOL,
        });
      }),
    );
  });

  test("flags beyond the first eight are read", () => {
    const header = Uint8Array.of(10, 64, 0x80, 253, 2, 0, 0, 0);
    const body = new BodyWriter(header)
      .bytes(1, new Uint8Array(16).fill(1))
      .u32(8, 0x40 | 0x08 | 0x20 | 0x01 | 0x800)
      .finish();
    expect(decodeAddress(message(20, body))).toMatchObject({
      scope: "link",
      tentative: true,
      dadFailed: true,
      deprecated: true,
      temporary: true,
      permanent: false,
      preferredLifetime: undefined,
      protocol: undefined,
    });
  });

  test("on a point-to-point link the address is the local one", () => {
    const body = new BodyWriter(Uint8Array.of(10, 128, 0, 0, 2, 0, 0, 0))
      .bytes(1, new Uint8Array(16).fill(9))
      .bytes(2, new Uint8Array(16).fill(1))
      .finish();
    expect(decodeAddress(message(20, body))?.address).toBe("101:101:101:101:101:101:101:101");
  });

  test("IPv4 addresses are nothing to us", () => {
    expect(decodeAddress(message(20, Uint8Array.of(2, 24, 0, 0, 2, 0, 0, 0)))).toBeUndefined();
  });
});

describe("routes", () => {
  test("what we ask for is what we read back", () => {
    const edit = fc.record(
      {
        destination: prefix,
        source: prefix,
        gateway: address,
        link: fc.integer({ min: 1, max: 0x7fff_ffff }),
        table: u32,
        metric: u32,
        mtu: u32,
      },
      { requiredKeys: ["destination", "link", "table"] },
    );
    fc.assert(
      fc.property(edit, (asked) => {
        expect(decodeRoutes(message(24, encodeRoute(asked)))).toEqual([
          {
            source: ANY_PREFIX,
            gateway: undefined,
            metric: 0,
            mtu: undefined,
            ...asked,
            protocol: L3SHIM_ROUTE_PROTOCOL,
            type: "unicast",
            preferredSource: undefined,
          },
        ]);
      }),
    );
  });

  test("a route with two next hops is two routes", () => {
    const gateways = [1, 2].map((last) => new Uint8Array(16).fill(last));
    const nextHops = gateways.flatMap((gateway, i) => [
      ...[28, 0, 0, 0, i + 5, 0, 0, 0],
      ...new BodyWriter(new Uint8Array(0)).bytes(5, gateway).finish(),
    ]);
    const body = new BodyWriter(Uint8Array.of(10, 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0))
      .bytes(9, Uint8Array.from(nextHops))
      .finish();
    const routes = decodeRoutes(message(24, body));
    expect(routes.map(({ gateway, link }) => [gateway && addressToBytes(gateway), link])).toEqual([
      [gateways[0], 5],
      [gateways[1], 6],
    ]);
    expect(routes.every(isDefaultRoute)).toBe(true);
  });

  test("a next hop that reaches beyond the list is refused", () => {
    const body = new BodyWriter(Uint8Array.of(10, 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0))
      .bytes(9, Uint8Array.of(16, 0, 0, 0, 5, 0, 0, 0))
      .finish();
    expect(() => decodeRoutes(message(24, body))).toThrow(NetlinkFormatError);
  });

  test("what the kernel remembers of a path is no route", () => {
    const cloned = Uint8Array.of(10, 0, 0, 0, 254, 3, 0, 1, 0, 0x02, 0, 0);
    expect(decodeRoutes(message(24, cloned))).toEqual([]);
  });

  test("a default route is unicast, to everywhere, from everywhere", () => {
    const routeFrom = (type: number, source: number) =>
      decodeRoutes(
        message(
          24,
          new BodyWriter(Uint8Array.of(10, 0, source, 0, 254, 3, 0, type, 0, 0, 0, 0))
            .bytes(2, new Uint8Array(16).fill(1))
            .finish(),
        ),
      );
    expect(routeFrom(1, 0).map(isDefaultRoute)).toEqual([true]);
    expect(routeFrom(1, 64).map(isDefaultRoute)).toEqual([false]);
    expect(routeFrom(7, 0).map(isDefaultRoute)).toEqual([false]);
  });
});

describe("rules", () => {
  test("what we ask for is what we read back", () => {
    const edit = fc.record(
      {
        priority: u32,
        from: prefix,
        table: u32,
        suppressPrefixLength: fc.integer({ min: 0, max: 128 }),
      },
      { requiredKeys: ["priority", "table"] },
    );
    fc.assert(
      fc.property(edit, (asked) => {
        expect(decodeRule(message(32, encodeRule(asked)))).toEqual({
          from: ANY_PREFIX,
          suppressPrefixLength: undefined,
          ...asked,
          to: ANY_PREFIX,
          action: "lookup",
          protocol: L3SHIM_ROUTE_PROTOCOL,
          mark: undefined,
          inputInterface: undefined,
          outputInterface: undefined,
        });
      }),
    );
  });
});

describe("links", () => {
  const IFF_UP = 0x1;
  const IFF_LOWER_UP = 0x10000;

  function linkHeader(family: number, flags: number): Uint8Array {
    const header = new Uint8Array(16);
    header[0] = family;
    const view = new DataView(header.buffer);
    view.setUint16(2, 1, true);
    view.setInt32(4, 7, true);
    view.setUint32(8, flags, true);
    return header;
  }

  test("switched on, carrier and running are told apart", () => {
    const decode = (flags: number) =>
      decodeLink(
        message(16, new BodyWriter(linkHeader(0, flags)).text(3, "wlan0").u32(4, 1500).finish()),
      );
    expect(decode(IFF_UP)).toEqual({
      index: 7,
      name: "wlan0",
      up: true,
      carrier: false,
      running: false,
      loopback: false,
      ethernet: true,
      mtu: 1500,
      master: undefined,
      kind: undefined,
      alias: undefined,
      group: 0,
    });
    expect(decode(IFF_LOWER_UP)).toMatchObject({ up: false, carrier: true, running: false });
    expect(decode(0x40)).toMatchObject({ up: false, carrier: false, running: true });
  });

  test("a bridge that loses a port does not lose the link", () => {
    const body = new BodyWriter(linkHeader(7, IFF_UP)).text(3, "eth0").u32(4, 1500).finish();
    expect(decodeLink(message(17, body))).toBeUndefined();
  });

  test("a wireless event, which describes only a part of the link, is left out", () => {
    const body = new BodyWriter(linkHeader(0, IFF_UP)).text(3, "wlan0").finish();
    expect(decodeLink(message(16, body))).toBeUndefined();
  });
});

const DECODERS = [decodeLink, decodeAddress, decodeNeighbor, decodeRoutes, decodeRule];

test("no octets whatever do anything but decode or be refused", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), fc.constantFrom(0, 10), (octets, family) => {
      const body = Uint8Array.of(family, ...octets);
      for (const decode of DECODERS) {
        let refusal: unknown;
        try {
          decode(message(0, body));
        } catch (error) {
          refusal = error;
        }
        expect(refusal === undefined || refusal instanceof NetlinkFormatError).toBe(true);
      }
    }),
  );
});
