/** What an endpoint counts. The names are part of the control API. */
const NAMES = [
  "control-received",
  "control-sent",
  "drop-malformed",
  "drop-bad-checksum",
  "drop-bad-address",
  "drop-critical-option",
  "drop-unknown-type",
  "drop-unknown-context",
  "drop-unknown-tag",
  "drop-wrong-locator",
  "drop-wrong-state",
  "drop-wrong-nonce",
  "drop-validator",
  "drop-locator-list",
  "drop-cga-parameters",
  "drop-signature-budget",
  "drop-rate-limit",
  "drop-probe-allowance",
  "drop-context-limit",
  "drop-prefix-limit",
  "context-evicted",
  "error-sent",
  "error-received",
  "update-refused",
  "icmp-error",
  "suspicion",
  "suspicion-confirmed",
  "trigger-held-down",
  "context-confusion",
  "fail-back-postponed",
] as const;

export type CounterName = (typeof NAMES)[number];

/** Counts that only ever grow. */
export class Counters {
  readonly #values: Record<CounterName, number>;

  constructor() {
    this.#values = Object.fromEntries(NAMES.map((name) => [name, 0])) as Record<
      CounterName,
      number
    >;
  }

  get values(): Readonly<Record<CounterName, number>> {
    return this.#values;
  }

  add(name: CounterName): void {
    this.#values[name] += 1;
  }
}
