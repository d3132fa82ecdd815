import type { AddressPair, Mapping } from "../../../../src/core/output.ts";
import type { ActiveMapping, PlaneContext } from "../../../../src/dataplane/ebpf/contexts.ts";
import { literal } from "../../../../src/lab/topology.ts";
import { contextTag } from "../../../../src/wire/tag.ts";

export const ULIDS: AddressPair = {
  local: literal("2001:db8:1::1"),
  peer: literal("2001:db8:2::2"),
};
export const LOCATORS: AddressPair = {
  local: literal("2001:db8:3::1"),
  peer: literal("2001:db8:4::2"),
};
export const PEER_TAG = contextTag(0x7edc_ba98_7654);

export function mapped(peerTag = PEER_TAG, selector?: Mapping["selector"]): ActiveMapping {
  const base = { ulids: ULIDS, locators: LOCATORS, peerTag };
  const mapping = selector === undefined ? base : { ...base, selector };
  return { mapping, way: { link: 7, gateway: literal("fe80::1"), mtu: 1500 } };
}

export function context(tag: number, fields: Partial<PlaneContext> = {}): PlaneContext {
  return {
    ...{ tag: contextTag(tag), ulids: ULIDS, forked: false, slot: tag },
    ...{ watched: false, withholding: false, active: undefined },
    ...fields,
  };
}
