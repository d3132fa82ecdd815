import { useEffect, useState } from "preact/hooks";

/** All that count down or up do so in one go. */
const CLOCKS = new Set<(now: number) => void>();
const TICK = 500;

setInterval(() => {
  const now = Date.now();
  for (const show of CLOCKS) show(now);
}, TICK);

/** ms since 1970, anew twice a second. */
export function useNow(): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    CLOCKS.add(setNow);
    return () => CLOCKS.delete(setNow);
  }, []);
  return now;
}

/** Whether a media query holds. */
export function useMedia(query: string): boolean {
  const [matches, setMatches] = useState(() => matchMedia(query).matches);
  useEffect(() => {
    const list = matchMedia(query);
    const look = () => setMatches(list.matches);
    look();
    list.addEventListener("change", look);
    return () => list.removeEventListener("change", look);
  }, [query]);
  return matches;
}

export const PHONE = "(max-width: 48rem)";
export const DARK = "(prefers-color-scheme: dark)";
