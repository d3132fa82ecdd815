import { readFileSync } from "node:fs";

/**
 * Tells this boot of the machine from the ones before: with them went all that the kernel held,
 * and the monotonic clock has begun anew.
 */
export function readBootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}
