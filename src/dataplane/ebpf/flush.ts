import { removeFilters } from "./attach-program.ts";
import { removePins } from "./kernel.ts";
import { type EbpfSystem, LINUX_EBPF } from "./system.ts";
import { removeUlidDevice } from "./ulid-device.ts";

/**
 * Takes away what the plane's earlier runs left in the host: routes first, so that nothing goes
 * into a device without programs. What nobody has pinned any more the kernel forgets.
 * @throws SystemError
 */
export function flushEbpf(
  pinDirectory: string,
  system: Pick<EbpfSystem, "openRoutes" | "openDevices"> = LINUX_EBPF,
): void {
  // To close them is to remove them all, whoever set them.
  system.openRoutes().close();
  removePins(pinDirectory);
  const devices = system.openDevices();
  try {
    removeUlidDevice(devices);
    // Nothing is pinned where the kernel has no tcx.
    for (const { index } of devices.links()) removeFilters(index);
  } finally {
    devices.close();
  }
}
