/** What `import … from "l3shim/sim"` gives (docs/library.md): the protocol in virtual time. */

export type { SimFigures } from "./figures.ts";
export type { Interruption } from "./flow.ts";
export type { EndpointMaker } from "./host.ts";
export { SimRandom, simKeyedHash } from "./random.ts";
export type * from "./scenario.ts";
export { SCENARIOS } from "./scenarios.ts";
export { type SimOptions, type SimResult, simulate, type Violation } from "./simulation.ts";
export { type SweepCell, type SweepResult, type SweepSize, sweep, worstCase } from "./sweep.ts";
export { formatSweep } from "./sweep-text.ts";
