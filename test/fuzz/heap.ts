import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Octets in use once everything unreachable is gone. */
export function heapInUse(): number {
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc");
  if (typeof collect !== "function") throw new Error("node has no garbage collector to call");
  collect();
  return process.memoryUsage().heapUsed;
}
