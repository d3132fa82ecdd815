import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { FlowSelector, PortRange } from "../../src/core/flow-selector.ts";
import { encodeFork, encodeForkKey, FORKS_MAX } from "../../src/dataplane/ebpf/layout.ts";
import { matchesFlow } from "../../src/dataplane/nfqueue/flow-match.ts";
import { setPayloadLength } from "../../src/wire/ipv6.ts";
import { findPayloadHeader } from "../../src/wire/payload.ts";
import { contextTag } from "../../src/wire/tag.ts";
import { ipv6, upperLayer } from "../wire/support/packets.ts";
import {
  isWithinLimits,
  LOCAL_ULID,
  MAPPING,
  PEER_TAG,
  PEER_ULID,
  packetBetween,
  ULIDS,
} from "./support/shim-packets.ts";
import { REDIRECT, ShimPrograms } from "./support/shim-programs.ts";

const FIRST_FORK_TAG = 0x100;

let programs: ShimPrograms;

beforeAll(() => {
  programs = new ShimPrograms();
});

afterAll(() => programs.close());

/** Of the few values that the packets have. */
const range: fc.Arbitrary<PortRange> = fc
  .tuple(fc.integer({ min: 1, max: 6 }), fc.nat(3))
  .map(([first, more]) => ({ first, last: first + more }));

const smallMark = fc.nat(3);
const mark = fc
  .tuple(smallMark, fc.constantFrom(0, 1, 2, 3, 0xffff_ffff))
  .map(([value, mask]) => ({ value: (value & mask) >>> 0, mask }));

const selector: fc.Arbitrary<FlowSelector> = fc.record(
  {
    protocol: fc.constantFrom(6, 17, 58, 59, 132, 43, 60),
    localPorts: fc.oneof(range, fc.constant({ first: 0, last: 65_535 })),
    peerPorts: range,
    dscp: fc.constantFrom(0, 1, 32, 63),
    mark,
  },
  { requiredKeys: [] },
);

const packet = fc
  .tuple(packetBetween(LOCAL_ULID, PEER_ULID), fc.constantFrom(0, 1, 32, 63), fc.option(fc.nat(60)))
  .map(([whole, dscp, cut]) => {
    whole[0] = 0x60 | (dscp >> 2);
    whole[1] = ((dscp & 3) << 6) | ((whole[1] as number) & 0x3f);
    // A chain of headers that Payload Length ends.
    if (cut !== null && cut > 0 && cut < whole.length - 40) setPayloadLength(whole, cut);
    return whole;
  })
  .filter(isWithinLimits);

function tagOf(index: number): number {
  return FIRST_FORK_TAG + index;
}

/** In this order; those beyond what the kernel looks at are there, and not looked at. */
function setForks(selectors: readonly FlowSelector[]): void {
  const { mapping, way } = MAPPING;
  for (const [index, each] of selectors.entries()) {
    const fork = { ...mapping, peerTag: contextTag(tagOf(index)), selector: each };
    programs.kernel.forks.update(
      encodeForkKey(ULIDS, index),
      encodeFork(index, { mapping: fork, way }),
    );
  }
  programs.setMapping(MAPPING, selectors.length);
}

test("the kernel takes the fork that matchesFlow finds first, of none to seventeen", () => {
  fc.assert(
    fc.property(
      fc.array(selector, { maxLength: FORKS_MAX + 1, size: "max" }),
      packet,
      smallMark,
      (selectors, sent, packetMark) => {
        setForks(selectors);
        const outcome = programs.run("ulid_device", sent, packetMark);
        if (outcome.returned !== REDIRECT) return;
        const index = selectors
          .slice(0, FORKS_MAX)
          .findIndex((each) => matchesFlow(each, sent, packetMark));
        const expected = index < 0 ? PEER_TAG : tagOf(index);
        expect(findPayloadHeader(outcome.packet)).toMatchObject({ value: { tag: expected } });
      },
    ),
    { numRuns: 800 },
  );
});

test("of seventeen forks that all select the packet, each is taken when those before do not", () => {
  const never: FlowSelector = { dscp: 62 };
  const sent = ipv6(LOCAL_ULID, PEER_ULID, [upperLayer(17, new Uint8Array(8))]);
  for (let first = 0; first <= FORKS_MAX; first++) {
    setForks(Array.from({ length: FORKS_MAX + 1 }, (_, i) => (i < first ? never : {})));
    const expected = first < FORKS_MAX ? tagOf(first) : PEER_TAG;
    const { packet: left } = programs.run("ulid_device", sent);
    expect(findPayloadHeader(left)).toMatchObject({ value: { tag: expected } });
  }
});
