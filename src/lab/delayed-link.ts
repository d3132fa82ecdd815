import { fileURLToPath } from "node:url";
import { LabProcess } from "./lab-process.ts";
import { waitFor } from "./shell.ts";

const TUN_LINK = fileURLToPath(new URL("../../dist/lab/apps/tun-link.js", import.meta.url));
/** ms */
const START_PATIENCE = 20_000;

/** A network device that is to be made. */
interface DeviceName {
  readonly namespace: string;
  readonly device: string;
}

/**
 * Joins two namespaces by a link that takes `delay` ms in each direction, which lasts as long as
 * they do. Its ends are down, and have no addresses yet.
 * @throws LabError when it does not come about
 */
export async function joinWithDelay(
  near: DeviceName,
  far: DeviceName,
  delay: number,
): Promise<void> {
  const ends = ["--device", near.device, "--namespace", far.namespace, "--peer", far.device];
  let isReady = false;
  const link = new LabProcess({
    namespace: near.namespace,
    argv: [process.execPath, TUN_LINK, ...ends, "--delay", `${delay}`],
    onLine: () => {
      isReady = true;
    },
  });
  const failure = () => link.failure(`no delayed link to ${far.device}`);
  const ready = () => {
    if (link.hasEnded) throw failure();
    return isReady || undefined;
  };
  await waitFor(ready, { timeout: START_PATIENCE, timeoutError: failure });
}
