import type { AddressPair } from "../core/output.ts";
import type { Address } from "../wire/address.ts";
import type { ControlMessage } from "../wire/message.ts";
import type { ContextTag } from "../wire/tag.ts";

/** What a toy application sends. */
export interface Payload {
  readonly flow: number;
  readonly kind: "request" | "reply";
  readonly sequence: number;
  /** As the sender's socket has them: what the receiver must see, turned round. */
  readonly ulids: AddressPair;
}

/** A packet on the simulated wire. */
export type Packet = { readonly source: Address; readonly destination: Address } & (
  | { readonly type: "control"; readonly bytes: Uint8Array; readonly message: ControlMessage }
  | {
      readonly type: "payload";
      readonly payload: Payload;
      /** In the payload extension header; `undefined` without one. */
      readonly tag: ContextTag | undefined;
    }
);

/** Of every payload packet; more would change nothing but the rate's effect. */
export const PAYLOAD_BYTES = 100;
