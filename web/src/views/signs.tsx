import { formatCountdown, SIGNS, type Standing, type Tone } from "../model/words.ts";
import { useNow } from "./hooks.ts";

export function Sign({ tone }: { readonly tone: Tone }) {
  return (
    <span class={`sign ${tone}`} aria-hidden="true">
      {SIGNS[tone]}
    </span>
  );
}

export function StandingChip({ standing }: { readonly standing: Standing }) {
  return (
    <span class={`chip ${standing.tone}`}>
      <Sign tone={standing.tone} /> {standing.word}
    </span>
  );
}

/** "2.4 s", counting down. */
export function Countdown({ at }: { readonly at: string }) {
  return <span class="number">{formatCountdown(at, useNow())}</span>;
}
