/** What `import … from "l3shim"` gives (docs/library.md). */

export type { FlowSelector, MarkMatch, PortRange } from "../core/flow-selector.ts";
export type {
  CloseCause,
  DeadlineReason,
  ExplorationCause,
  FailureCause,
  SwitchCause,
} from "../core/output.ts";
export type { ContextState, Pin, ReapState } from "../core/view.ts";
export type * from "../daemon/api.ts";
export { DEFAULT_SOCKET, SCHEMA_VERSION } from "../daemon/api.ts";
export {
  type CaptureOptions,
  ControlClient,
  type EventOptions,
  type HistoryQuery,
} from "./control-client.ts";
export { ControlError, type ControlProblem } from "./control-error.ts";
