import type { Flow } from "../../../src/lab/flow.ts";
import { waitFor } from "../../../src/lab/shell.ts";

/** ms that a busy machine may take for what needs milliseconds. */
export const PATIENCE = 60_000;

/** Waits until the receiver has got that many further octets. */
export async function untilMoves(flow: Flow, octets: number): Promise<void> {
  const start = flow.bytesReceived();
  const received = () => flow.bytesReceived() - start;
  await waitFor(() => received() >= octets || undefined, {
    timeout: PATIENCE,
    timeoutError: () =>
      new Error(`${flow.kind} ${flow.from} to ${flow.to} got ${received()} of ${octets} octets`),
  });
}
