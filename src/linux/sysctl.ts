import { readFileSync, writeFileSync } from "node:fs";

/** A kernel setting could not be read or written. */
export class SysctlError extends Error {
  override readonly name = "SysctlError";
}

/**
 * Reads a kernel setting of this network namespace.
 * @param name with slashes, e.g. "net/ipv6/conf/eth0.7/forwarding": interface names hold dots
 * @throws SysctlError
 */
export function readSysctl(name: string): string {
  try {
    return readFileSync(sysctlPath(name), "utf8").trim();
  } catch (cause) {
    throw describe(`read ${name}`, cause);
  }
}

/**
 * Writes a kernel setting of this network namespace.
 * @param name as in {@link readSysctl}
 * @throws SysctlError
 */
export function writeSysctl(name: string, value: string | number): void {
  try {
    writeFileSync(sysctlPath(name), `${value}\n`);
  } catch (cause) {
    throw describe(`set ${name} to ${value}`, cause);
  }
}

function sysctlPath(name: string): string {
  if (!/^[^/]+(\/[^/]+)+$/.test(name) || name.split("/").includes("..")) {
    throw new SysctlError(`"${name}" names no kernel setting: write it like net/ipv6/bindv6only`);
  }
  return `/proc/sys/${name}`;
}

function describe(attempt: string, cause: unknown): Error {
  if (cause instanceof SysctlError) return cause;
  const code = (cause as NodeJS.ErrnoException).code ?? String(cause);
  const remedy = REMEDIES[code];
  const text = remedy === undefined ? code : `${code}, ${remedy}`;
  return new SysctlError(`cannot ${attempt}: ${text}`, { cause });
}

const REMEDIES: Readonly<Record<string, string>> = {
  ENOENT: "this kernel has no such setting, or there is no such interface",
  EACCES: "run as root",
  EPERM: "run as root",
  EROFS: "/proc/sys is read-only here, as in a container: set it outside",
  EINVAL: "the kernel refuses this value",
};
