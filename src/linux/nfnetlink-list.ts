import { readFileSync } from "node:fs";
import { effectiveCapabilities } from "./capabilities.ts";

/**
 * What the kernel lists of the queues (NFQUEUE) or groups (NFLOG) that are bound in this network
 * namespace: a row for each, its number first. `undefined` where it lists none, or to root alone
 * and this is another user.
 */
export function listBound(kind: "queue" | "log"): readonly (readonly number[])[] | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/thread-self/net/netfilter/nfnetlink_${kind}`, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "";
    if (["ENOENT", "EACCES"].includes(code)) return undefined;
    throw error;
  }
  const lines = text.split("\n").filter(Boolean);
  return lines.map((line) => line.trim().split(/\s+/).map(Number));
}

/**
 * Whether it was because another process has the number that the kernel refused it (EPERM).
 * Without the list: whoever has the capability is refused for nothing else.
 */
export function isTaken(kind: "queue" | "log", number: number): boolean {
  const rows = listBound(kind);
  if (rows === undefined) return effectiveCapabilities().has("CAP_NET_ADMIN");
  return rows.some(([bound]) => bound === number);
}
