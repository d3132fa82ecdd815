import {
  type FlowSelector,
  type PortRange,
  PROTOCOLS_WITH_PORTS,
} from "../../core/flow-selector.ts";
import { walkHeaders } from "../../wire/ipv6.ts";

/** Whether an outbound packet is of the flows that the selector means. */
export function matchesFlow(selector: FlowSelector, packet: Uint8Array, mark: number): boolean {
  const { dscp, mark: wanted } = selector;
  if (wanted !== undefined && ((mark & wanted.mask) ^ wanted.value) !== 0) return false;
  return (dscp === undefined || dscpOf(packet) === dscp) && matchesTransport(selector, packet);
}

function matchesTransport(selector: FlowSelector, packet: Uint8Array): boolean {
  const { protocol, localPorts, peerPorts } = selector;
  const wantsPorts = localPorts !== undefined || peerPorts !== undefined;
  if (protocol === undefined && !wantsPorts) return true;
  const chain = walkHeaders(packet);
  if (!chain.ok) return false;
  const found = chain.value;
  if (protocol !== undefined && found.protocol !== protocol) return false;
  if (!wantsPorts) return true;
  const { offset, fragment } = found;
  // The ports are in the first fragment only; the ULP's own fragments stay on the default.
  if (fragment === "later" || !PROTOCOLS_WITH_PORTS.includes(found.protocol)) return false;
  if (packet.length < offset + 4) return false;
  return (
    isWithin(localPorts, readPort(packet, offset)) &&
    isWithin(peerPorts, readPort(packet, offset + 2))
  );
}

function isWithin(range: PortRange | undefined, port: number): boolean {
  return range === undefined || (port >= range.first && port <= range.last);
}

function readPort(packet: Uint8Array, at: number): number {
  return ((packet[at] as number) << 8) | (packet[at + 1] as number);
}

/** Of the 12 bits behind the version, the upper 8 are the Traffic Class, 6 of them the DSCP. */
function dscpOf(packet: Uint8Array): number {
  return (((packet[0] as number) & 0x0f) << 2) | ((packet[1] as number) >> 6);
}
