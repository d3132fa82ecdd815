/** Maps a range of values to a range of pixels. */
export interface Scale {
  (value: number): number;
  readonly from: number;
  readonly to: number;
}

export function linearScale(from: number, to: number, start: number, end: number): Scale {
  const scale = (value: number) => start + ((value - from) / (to - from)) * (end - start);
  return Object.assign(scale, { from, to });
}

/** Round values from `from` to `to`, about `count` of them: multiples of 1, 2 or 5 times 10^n. */
export function ticks(from: number, to: number, count: number): number[] {
  const rough = (to - from) / count;
  const magnitude = 10 ** Math.floor(Math.log10(rough));
  const step = magnitude * ([1, 2, 5, 10].find((factor) => factor * magnitude >= rough) ?? 10);
  const first = Math.ceil(from / step);
  const last = Math.floor(to / step);
  // Multiplied, not added up, and rounded: 3 * 0.1 is no label.
  return Array.from({ length: last - first + 1 }, (_, index) =>
    Number(((first + index) * step).toPrecision(12)),
  );
}

/** The least round number that is not below `value`: 1, 2 or 5 times 10^n. */
export function roundUp(value: number): number {
  if (value <= 0) return 1;
  const magnitude = 10 ** Math.floor(Math.log10(value));
  const factor = [1, 2, 5].find((candidate) => candidate * magnitude >= value) ?? 10;
  return factor * magnitude;
}
