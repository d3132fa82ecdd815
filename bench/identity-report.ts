import { expectedAttempts } from "../src/identity/sec.ts";
import { BARE_SHA1, BARE_SIGN, BARE_VERIFY, type SearchRun } from "./identity-operations.ts";
import { describeMachine, type Section } from "./section.ts";
import { median, spread } from "./statistics.ts";

export const IDENTITY_SECTION: Section = {
  name: "identity",
  heading: "HBA and CGA",
  command: "npm run bench:identity -- --write",
};

export interface IdentityFigures {
  /** Names, in the order of the tables. */
  readonly operations: readonly string[];
  readonly handshakes: readonly string[];
  /** Microseconds by name, one for each round. */
  readonly times: ReadonlyMap<string, readonly number[]>;
  readonly searches: readonly SearchRun[];
}

export function renderIdentity(figures: IdentityFigures): string {
  const rounds = figures.searches.length;
  return [
    `Machine: ${describeMachine()}.`,
    "",
    `${rounds} interleaved rounds; medians, with the least and the greatest round in brackets. A ratio is`,
    "taken within each round, then the median of them. Keys are RSA of 2048 bits, signatures are with",
    "SHA-1, sets have Sec 1 and a key. Times are of one processor, and leave out what other work takes.",
    "The check of a CGA signature takes in the peer's key first, from its octets; the bare one has it.",
    "",
    "| | µs | / bare SHA-1 | / bare RSA verification | / bare RSA signature |",
    "|---|---|---|---|---|",
    ...figures.operations.map((name) => row(figures, name, microseconds(timesOf(figures, name)))),
    "",
    "Handshakes of one host with peers that it has not met, each with two locators, by the endpoint that",
    "the daemon runs (decoding and encoding included, sockets and data plane not). Its own proof is made",
    "already, as it is for every context but the first; the peer's is checked each time.",
    "",
    "| | handshakes/s | µs | / bare SHA-1 | / bare RSA verification | / bare RSA signature |",
    "|---|---|---|---|---|---|",
    ...figures.handshakes.map((name) => {
      const times = timesOf(figures, name);
      const rates = times.map((time) => 1e6 / time);
      return row(figures, name, `${spread(rates, 0)} | ${spread(times, 0)}`);
    }),
    "",
    ...searchFor2(figures),
  ].join("\n");
}

function microseconds(times: readonly number[]): string {
  return spread(times, median(times) < 100 ? 2 : 0);
}

function row(figures: IdentityFigures, name: string, own: string): string {
  const ratios = [BARE_SHA1, BARE_VERIFY, BARE_SIGN].map((base) => ratio(figures, name, base));
  return `| ${name} | ${own} | ${ratios.join(" | ")} |`;
}

/** Within each round. */
function ratio(figures: IdentityFigures, name: string, base: string): string {
  const bases = timesOf(figures, base);
  const ratios = timesOf(figures, name).map((time, i) => time / (bases[i] ?? Number.NaN));
  const value = median(ratios);
  return value < 10 ? value.toFixed(2) : Math.round(value).toLocaleString("en");
}

function searchFor2({ searches }: IdentityFigures): string[] {
  const rates = searches.map(({ attempts, microseconds }) => (attempts * 1000) / microseconds);
  const attempts = searches.reduce((sum, search) => sum + search.attempts, 0);
  const seconds = searches.reduce((sum, search) => sum + search.microseconds, 0) / 1e6;
  const hours = expectedAttempts(2) / (median(rates) * 1000) / 3600;
  return [
    `Searches for Sec 2 tried ${attempts.toLocaleString("en")} modifiers in ${seconds.toFixed(1)} s and were cut short then: ${spread(rates, 0)}`,
    "thousand a second on one processor. On average it takes 2^32, so that to the end it would take",
    `${hours.toFixed(1)} hours of one processor: this is extrapolated, no such search was run.`,
  ];
}

function timesOf({ times }: IdentityFigures, name: string): readonly number[] {
  return times.get(name) ?? [];
}
