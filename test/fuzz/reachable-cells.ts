import type { EstablishmentEvent } from "../../src/core/establishment.ts";
import type { ReapEvent } from "../../src/core/reap.ts";
import type { ContextState, ReapState } from "../../src/core/view.ts";
import { cellName } from "./table-coverage.ts";

/** In IDLE there is no context that a message could be for. */
const WITH_CONTEXT: readonly ContextState[] = [
  ...(["I1-SENT", "I2-SENT", "I2BIS-SENT", "ESTABLISHED", "E-FAILED", "NO-SUPPORT"] as const),
];
const ALWAYS: readonly ContextState[] = ["IDLE", ...WITH_CONTEXT];

/** In which states an event can come at all; the others' cells nothing ever looks up. */
const ESTABLISHMENT_STATES: Readonly<Record<EstablishmentEvent, readonly ContextState[]>> = {
  // A ULID pair that has a context asks for none.
  open: ["IDLE"],
  i1: ALWAYS,
  "i1-concurrent": ["I1-SENT", "I2-SENT", "I2BIS-SENT"],
  "i1-repeated": ["ESTABLISHED"],
  r1: WITH_CONTEXT,
  i2: ALWAYS,
  r2: WITH_CONTEXT,
  // CT(peer) outlives a recovery that fails.
  r1bis: WITH_CONTEXT,
  i2bis: ALWAYS,
  // During a hold-down the data plane doesn't know the tag, and control is handled as in IDLE.
  "tagged-packet": ["I1-SENT", "I2-SENT", "I2BIS-SENT", "ESTABLISHED"],
  "unknown-tag": ["IDLE"],
  "retransmission-timeout": ["I1-SENT", "I2-SENT", "I2BIS-SENT"],
  "i2-unanswered": ["I2-SENT", "I2BIS-SENT"],
  // A recovery has sent no I1 yet: it goes back to I1-SENT before it can fail.
  "attempt-failed": ["I1-SENT", "I2-SENT"],
  refused: WITH_CONTEXT,
  // Of an exchange that R1bis has begun no I1 has left.
  "no-support": WITH_CONTEXT.filter((state) => state !== "I2BIS-SENT"),
  "hold-down-over": ["E-FAILED", "NO-SUPPORT"],
};

const ANY_REAP: readonly ReapState[] = ["Operational", "Exploring", "InboundOk"];

/** The same for REAP: which timers run in which state. */
const REAP_STATES: Readonly<Record<ReapEvent, readonly ReapState[]>> = {
  "payload-in": ANY_REAP,
  "payload-out": ANY_REAP,
  "keepalive-timeout": ["Operational"],
  "send-timeout": ["Operational", "InboundOk"],
  retransmission: ["Exploring", "InboundOk"],
  keepalive: ANY_REAP,
  "probe-exploring": ANY_REAP,
  "probe-inboundok": ANY_REAP,
  "probe-operational": ANY_REAP,
  explore: ANY_REAP,
  "peer-renewed": ANY_REAP,
};

/** Every cell of the establishment table that some input leads to. */
export const ESTABLISHMENT_CELLS = cellsOf(ESTABLISHMENT_STATES);

/** Every cell of the REAP table that some input leads to. */
export const REAP_CELLS = cellsOf(REAP_STATES);

function cellsOf(states: Readonly<Record<string, readonly string[]>>): string[] {
  return Object.entries(states).flatMap(([event, row]) =>
    row.map((state) => cellName(event, state)),
  );
}
