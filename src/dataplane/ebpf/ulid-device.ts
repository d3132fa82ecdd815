import { isOurLink, type Link } from "../../linux/rtnetlink.ts";
import type { VethPairEdit } from "../../linux/rtnetlink-encode.ts";
import { PAYLOAD_HEADER_LENGTH } from "../../wire/payload-header.ts";
import { DataPlaneError } from "../dataplane.ts";

const HOST_SIDE = "l3shim0";
const SHIM_SIDE = "l3shim0p";

/** The largest MTU of a veth; each ULID pair's route has the one of its own path. */
const LARGEST_MTU = 65_535;

/** What the device needs of the operating system. */
export interface DeviceSystem {
  links(): readonly Link[];
  addVethPair(pair: VethPairEdit): void;
  setLinkUp(index: number, up: boolean): void;
  /** @throws SystemError ENODEV */
  deleteLink(index: number): void;
  /** Switches segmentation and checksums off: the kernel does both before the packet arrives. */
  disableOffloads(name: string): void;
}

/** Both ends, by interface index. */
export interface UlidDevice {
  readonly hostSide: number;
  readonly shimSide: number;
}

/**
 * The ULID device: a pair of veth interfaces through which packets of mapped ULID pairs go. The
 * kernel cannot cut TCP's super-packets up once a Shim6 header is in them: this device takes
 * none, so that they are cut before they come out at its other end, where the header goes in.
 */
export function openUlidDevice(system: DeviceSystem): UlidDevice {
  const found = findUlidDevice(system.links());
  if (found?.up) return found;
  removeUlidDevice(system);
  refuseForeign(system.links());
  system.addVethPair({
    name: HOST_SIDE,
    peerName: SHIM_SIDE,
    mtu: LARGEST_MTU - PAYLOAD_HEADER_LENGTH,
    peerMtu: LARGEST_MTU,
    noArp: true,
    addressGeneration: "none",
  });
  const made = findUlidDevice(system.links());
  if (made === undefined) throw new Error("the ULID device is not there after it was made");
  system.disableOffloads(HOST_SIDE);
  for (const index of [made.shimSide, made.hostSide]) system.setLinkUp(index, true);
  return made;
}

/** Without one there is nothing to do. Routes that lead to it go along. */
export function removeUlidDevice(system: DeviceSystem): void {
  for (const link of system.links()) {
    if (link.name === HOST_SIDE && isOurLink(link)) system.deleteLink(link.index);
  }
}

/** A link of somebody else's is neither used nor deleted. @throws DataPlaneError */
function refuseForeign(links: readonly Link[]): void {
  const foreign = links.find(({ name }) => name === HOST_SIDE || name === SHIM_SIDE);
  if (foreign === undefined) return;
  throw new DataPlaneError(
    `there is a link ${foreign.name} that is not of this daemon`,
    `Give it another name, or remove it: ip link delete ${foreign.name}.`,
  );
}

function findUlidDevice(links: readonly Link[]): (UlidDevice & { up: boolean }) | undefined {
  const ours = (wanted: string) => links.find((link) => link.name === wanted && isOurLink(link));
  const hostSide = ours(HOST_SIDE);
  const shimSide = ours(SHIM_SIDE);
  if (hostSide === undefined || shimSide === undefined) return undefined;
  const up = hostSide.up && shimSide.up;
  return { hostSide: hostSide.index, shimSide: shimSide.index, up };
}
