import type { AddressPair } from "../../../src/core/output.ts";
import type { Instant } from "../../../src/core/time.ts";
import type { DataPlaneEvents } from "../../../src/dataplane/dataplane.ts";
import type { Address } from "../../../src/wire/address.ts";
import type { ContextTag } from "../../../src/wire/tag.ts";

/** Keeps everything that a data plane reports. */
export class RecordedEvents implements DataPlaneEvents {
  readonly triggers: AddressPair[] = [];
  readonly controls: {
    source: Address;
    destination: Address;
    bytes: Uint8Array;
    encapsulated?: true;
  }[] = [];
  readonly unknownTags: {
    source: Address;
    destination: Address;
    tag: ContextTag;
    encapsulated?: true;
  }[] = [];
  readonly resumed: ContextTag[] = [];
  readonly payloads: { now: Instant; tag: ContextTag; tagged: boolean }[] = [];
  readonly icmpErrors: { source: Address; bytes: Uint8Array }[] = [];
  readonly inForce: ContextTag[] = [];
  readonly failures: Error[] = [];

  trigger(_now: Instant, ulids: AddressPair): void {
    this.triggers.push(ulids);
  }

  control(...message: Parameters<DataPlaneEvents["control"]>): void {
    const [, source, destination, bytes, encapsulated = false] = message;
    this.controls.push({ source, destination, bytes, ...inUdp(encapsulated) });
  }

  unknownTag(...packet: Parameters<DataPlaneEvents["unknownTag"]>): void {
    const [, source, destination, tag, encapsulated = false] = packet;
    this.unknownTags.push({ source, destination, tag, ...inUdp(encapsulated) });
  }

  trafficResumed(_now: Instant, tag: ContextTag): void {
    this.resumed.push(tag);
  }

  inboundPayload(now: Instant, tag: ContextTag, tagged: boolean): void {
    this.payloads.push({ now, tag, tagged });
  }

  mappingInForce(tag: ContextTag): void {
    this.inForce.push(tag);
  }

  icmpError(_now: Instant, source: Address, bytes: Uint8Array): void {
    this.icmpErrors.push({ source, bytes });
  }

  failed(error: Error): void {
    this.failures.push(error);
  }
}

function inUdp(encapsulated: boolean): { encapsulated?: true } {
  return encapsulated ? { encapsulated } : {};
}
