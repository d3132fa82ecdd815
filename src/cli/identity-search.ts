import { findModifier, type SearchProgress } from "../daemon/crypto/search.ts";
import type { SharedParameters } from "../identity/parameters.ts";
import type { Sec } from "../identity/sec.ts";
import { CommandError } from "./command.ts";
import { formatSpan } from "./format.ts";

const MS_BETWEEN_REPORTS = 1000;

/** Searches in threads, tells a terminal how far it is, and ends at an interrupt. */
export async function completeParameters(
  sec: Sec,
  start: SharedParameters,
): Promise<SharedParameters> {
  const cancel = new AbortController();
  const interrupt = () => cancel.abort(new CommandError("interrupted: no modifier found yet"));
  process.once("SIGINT", interrupt);
  try {
    const onProgress = process.stderr.isTTY ? progressReporter() : undefined;
    const modifier = await findModifier(sec, start, { signal: cancel.signal, onProgress });
    return { ...start, modifier };
  } finally {
    process.off("SIGINT", interrupt);
  }
}

function progressReporter(): (progress: SearchProgress) => void {
  const begin = performance.now();
  let next = begin + MS_BETWEEN_REPORTS;
  return (progress) => {
    const now = performance.now();
    if (now < next) return;
    next = now + MS_BETWEEN_REPORTS;
    process.stderr.write(`${describeProgress(progress, (now - begin) / 1000)}\n`);
  };
}

/** @param elapsed seconds */
export function describeProgress({ attempts, expected }: SearchProgress, elapsed: number): string {
  const rate = attempts / elapsed;
  const count = (value: number) => value.toLocaleString("en", { maximumFractionDigits: 0 });
  return (
    `${count(attempts)} modifiers tried, ${count(rate)} a second; ` +
    `one in ${count(expected)} fits: ${formatSpan(expected / rate)} on average`
  );
}
