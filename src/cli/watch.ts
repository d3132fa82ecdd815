import { type CommonOptions, print } from "./command.ts";
import { formatClock } from "./format.ts";

/** ms from one look to the next. */
const INTERVAL = 2_000;

/** To the upper left corner, and nothing below it any more (ECMA-48). */
const REDRAW = "\u001b[H\u001b[J";

/**
 * Shows something again and again until Ctrl-C: in place on a terminal, else one after the other.
 * @param look what there is to see now
 */
export async function watch(
  look: () => Promise<string>,
  { json }: Pick<CommonOptions, "json">,
): Promise<void> {
  const interrupted = new AbortController();
  const stop = () => interrupted.abort();
  process.once("SIGINT", stop);
  try {
    while (!interrupted.signal.aborted) {
      const text = await look();
      print(json ? text : framed(text, new Date()));
      await pause(interrupted.signal);
    }
  } finally {
    process.off("SIGINT", stop);
  }
}

function framed(text: string, now: Date): string {
  if (process.stdout.isTTY) return `${REDRAW}${text}\n\nCtrl-C ends this.`;
  return `${formatClock(now)}\n${text}\n`;
}

/** Ends early when the signal comes. */
function pause(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const end = (): void => {
      clearTimeout(timer);
      resolve();
    };
    const timer = setTimeout(end, INTERVAL);
    signal.addEventListener("abort", end, { once: true });
  });
}
