import { dirname } from "node:path";
import { isBpffs, mountBpffs } from "../linux/bpffs.ts";
import { SystemError } from "../linux/system-error.ts";
import type { DaemonConfig } from "./config/config.ts";
import type { PlanePrivileges } from "./privileges.ts";

/**
 * What the data plane needs while there are all privileges: a bpffs to pin programs on. Without one
 * the plane says what it lacks when it opens.
 */
export function planePrivileges({ dataplane, ebpf }: DaemonConfig): PlanePrivileges {
  if (dataplane === "nfqueue") return { bpf: false, pinDirectory: undefined };
  const { pinDirectory } = ebpf;
  try {
    if (!isBpffs(dirname(pinDirectory))) mountBpffs(pinDirectory);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    return { bpf: true, pinDirectory: undefined };
  }
  return { bpf: true, pinDirectory };
}
