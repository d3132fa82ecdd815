import { readFile } from "node:fs/promises";
import { inNamespace, tryRun, waitFor } from "./shell.ts";

/** Octets, in hexadecimal, that no other packet of a lab carries. */
const MARK = "6c3373686964206d61726b2e";
/** ms */
const PATIENCE = 30_000;

/**
 * Waits until everything that an interface has carried until now is in the capture's file: what
 * waits in dumpcap's buffers when it is stopped would be lost. So a last packet is sent, and
 * waited for.
 * @param where as ping's arguments: an address, which the capture's filter lets through
 * @throws Error made by `timeoutError` when the packet does not appear
 */
export async function markCapture(
  namespace: string,
  where: readonly string[],
  file: string,
  timeoutError: () => Error,
): Promise<void> {
  // Nobody may answer to a multicast address.
  await tryRun(inNamespace(namespace, ["ping", "-6", "-c1", "-W1", "-p", MARK, ...where]));
  const marked = async () => (await readFile(file)).includes(MARK, 0, "hex") || undefined;
  await waitFor(marked, { timeout: PATIENCE, timeoutError });
}
