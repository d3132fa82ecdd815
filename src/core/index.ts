/** What `import … from "l3shim/core"` gives (docs/library.md): the protocol, without any I/O. */

export { type Address, parseAddress } from "../wire/address.ts";
export type { ControlMessage } from "../wire/message.ts";
export { type ContextTag, formatTag, parseTag } from "../wire/tag.ts";
export type {
  Detection,
  Encapsulation,
  EndpointConfig,
  FailBackPolicy,
  KeyedHash,
  LocalLocator,
  RandomSource,
  SecurityMode,
} from "./config.ts";
export { Endpoint } from "./endpoint.ts";
export type { FlowSelector } from "./flow-selector.ts";
export type { AddressPair, ContextEvent, Deadline, Mapping, Output } from "./output.ts";
export { SEND_TIMEOUT } from "./rfc5534.ts";
export {
  after,
  between,
  type Duration,
  type Instant,
  instant,
  milliseconds,
  minutes,
  seconds,
} from "./time.ts";
export { TrafficRecord, type TrafficSnapshot } from "./traffic.ts";
export type { ContextOutline, ContextState, ContextView, ReapState } from "./view.ts";
