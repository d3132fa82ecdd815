import { fileURLToPath } from "node:url";
import type { DataPlane } from "../dataplane/dataplane.ts";
import { flushEbpf } from "../dataplane/ebpf/flush.ts";
import { EbpfDataPlane } from "../dataplane/ebpf/plane.ts";
import { FallbackDataPlane } from "../dataplane/fallback.ts";
import { flushNfqueue } from "../dataplane/nfqueue/flush.ts";
import { NfqueueDataPlane } from "../dataplane/nfqueue/plane.ts";
import type { DaemonConfig } from "./config/config.ts";
import type { Logger } from "./log.ts";

/** What clang made of bpf/shim6.bpf.c; it lies beside the compiled sources. */
export const OBJECT_FILE = fileURLToPath(new URL("../bpf/shim6.bpf.o", import.meta.url));

/** The data plane that the configuration asks for. */
export function createDataPlane(config: DaemonConfig, log: Logger): DataPlane {
  switch (config.dataplane) {
    case "ebpf":
      return createEbpf(config, log);
    case "nfqueue":
      return createNfqueue(config, log);
    case "auto":
      return new FallbackDataPlane(createEbpf(config, log), createNfqueue(config, log), (reason) =>
        log.warn(
          { remedy: reason.remedy },
          `no data plane in the kernel, so packets pass through user space: ${reason.message}`,
        ),
      );
  }
}

/** Takes away what runs of each data plane left, whether it is the one that is used now or not. */
export function planeFlushes({ ebpf }: DaemonConfig): (() => void | Promise<void>)[] {
  return [() => flushEbpf(ebpf.pinDirectory), () => flushNfqueue()];
}

function createEbpf(config: DaemonConfig, log: Logger): EbpfDataPlane {
  return new EbpfDataPlane({
    objectFile: OBJECT_FILE,
    pinDirectory: config.ebpf.pinDirectory,
    contexts: config.maxContexts,
    trigger: config.trigger,
    udpPort: config.encapsulation?.port,
    warn: (message) => log.warn(message),
  });
}

function createNfqueue(config: DaemonConfig, log: Logger): NfqueueDataPlane {
  return new NfqueueDataPlane({
    ...config.nfqueue,
    withholdErrors: !config.deliverAllIcmp,
    udpPort: config.encapsulation?.port,
    trigger: config.trigger,
    warn: (message) => log.warn(message),
  });
}
