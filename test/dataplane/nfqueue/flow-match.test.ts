import { describe, expect, test } from "vitest";
import type { FlowSelector } from "../../../src/core/flow-selector.ts";
import { matchesFlow } from "../../../src/dataplane/nfqueue/flow-match.ts";

const TCP = 6;
const UDP = 17;
const ICMPV6 = 58;
const HOP_BY_HOP = 0;
const FRAGMENT = 44;

interface Flow {
  readonly protocol?: number;
  readonly local?: number;
  readonly peer?: number;
  readonly dscp?: number;
  /** Octets between the IPv6 header and the transport, the first of them Next Header. */
  readonly extension?: { readonly protocol: number; readonly octets: readonly number[] };
}

/** A packet of 8 octets of transport, ports first. */
function packet({ protocol = UDP, local = 4000, peer = 5004, dscp = 0, extension }: Flow) {
  const octets = extension?.octets ?? [];
  const bytes = new Uint8Array(40 + octets.length + 8);
  const trafficClass = dscp << 2;
  bytes.set([0x60 | (trafficClass >> 4), (trafficClass << 4) & 0xff, 0, 0, 0, bytes.length - 40]);
  bytes[6] = extension?.protocol ?? protocol;
  bytes.set(octets, 40);
  bytes.set([local >> 8, local & 0xff, peer >> 8, peer & 0xff], 40 + octets.length);
  return bytes;
}

function port(first: number, last = first) {
  return { first, last };
}

describe("a flow selector", () => {
  const cases: [string, FlowSelector, Flow, boolean][] = [
    ["without criteria takes all", {}, {}, true],
    ["takes its protocol", { protocol: UDP }, {}, true],
    ["takes no other protocol", { protocol: TCP }, {}, false],
    ["takes the peer's port", { peerPorts: port(5004) }, {}, true],
    ["takes both ends of a range", { peerPorts: port(5004, 5006) }, { peer: 5006 }, true],
    ["takes nothing above its range", { peerPorts: port(5004, 5006) }, { peer: 5007 }, false],
    ["takes nothing below its range", { peerPorts: port(5004, 5006) }, { peer: 5003 }, false],
    ["takes the local port", { localPorts: port(4000) }, {}, true],
    ["tells local from peer", { localPorts: port(5004) }, {}, false],
    ["needs all criteria", { peerPorts: port(5004), localPorts: port(1) }, {}, false],
    [
      "takes ports of any protocol that has some",
      { peerPorts: port(22) },
      { protocol: TCP, peer: 22 },
      true,
    ],
    ["finds no ports in ICMPv6", { peerPorts: port(5004) }, { protocol: ICMPV6 }, false],
    ["takes its DSCP", { dscp: 46 }, { dscp: 46 }, true],
    ["takes no other DSCP", { dscp: 46 }, { dscp: 34 }, false],
    ["takes the DSCP 0", { dscp: 0 }, { dscp: 1 }, false],
    [
      "looks behind extension headers",
      { protocol: UDP, peerPorts: port(5004) },
      { extension: { protocol: HOP_BY_HOP, octets: [UDP, 0, 1, 4, 0, 0, 0, 0] } },
      true,
    ],
    [
      "takes the first fragment by its ports",
      { peerPorts: port(5004) },
      { extension: { protocol: FRAGMENT, octets: [UDP, 0, 0, 1, 0, 0, 0, 9] } },
      true,
    ],
    [
      "takes no later fragment by what looks like ports",
      { peerPorts: port(5004) },
      { extension: { protocol: FRAGMENT, octets: [UDP, 0, 0, 9, 0, 0, 0, 9] } },
      false,
    ],
  ];

  test.each(cases)("%s", (_name, selector, flow, expected) => {
    expect(matchesFlow(selector, packet(flow), 0)).toBe(expected);
  });

  test.each([
    [{ value: 0x10, mask: 0xf0 }, 0x1f, true],
    [{ value: 0x10, mask: 0xf0 }, 0x2f, false],
    [{ value: 0x8000_0000, mask: 0xffff_ffff }, 0x8000_0000, true],
    [{ value: 0, mask: 0xff }, 0x100, true],
  ])("%j on the mark %i: %s", (mark, of, expected) => {
    expect(matchesFlow({ mark }, packet({}), of)).toBe(expected);
  });

  test("takes no packet that ends before its ports", () => {
    expect(matchesFlow({ peerPorts: port(5004) }, packet({}).subarray(0, 43), 0)).toBe(false);
    expect(matchesFlow({ protocol: UDP }, new Uint8Array(10), 0)).toBe(false);
  });
});
