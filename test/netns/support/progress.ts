import type { Flow } from "../../../src/lab/flow.ts";
import { waitFor } from "../../../src/lab/shell.ts";

/** ms that a busy machine may take for what needs milliseconds. */
export const PATIENCE = 60_000;

/** Waits until that many octets have come from now on, and not only have been reported. */
export async function untilMoves(flow: Flow, octets: number): Promise<void> {
  const start = Date.now();
  const received = () => flow.bytesReceived(start);
  await waitFor(() => received() >= octets || undefined, {
    timeout: PATIENCE,
    timeoutError: () =>
      new Error(`${flow.kind} ${flow.from} to ${flow.to} got ${received()} of ${octets} octets`),
  });
}
