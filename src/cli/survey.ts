import type { PeerSurvey, SurveyedPairStatus } from "../daemon/api.ts";
import { formatPair, formatTable } from "./format.ts";

/** What a survey found, pair by pair. */
export function formatSurvey({ pairs }: PeerSurvey): string {
  return formatTable(
    ["PAIR", "SHIM6 THERE", "AND BACK", "ROUND TRIP", "ECHO", "LONGEST PACKET"],
    pairs.map((pair) => [
      formatPair(pair),
      formatDirection(pair.there),
      formatDirection(pair.back),
      formatRoundTrip(pair.roundTrips),
      formatEcho(pair.echo),
      formatSize(pair.echo),
    ]),
  );
}

function formatDirection(passes: boolean | null): string {
  if (passes === null) return "not known";
  return passes ? "passes" : "dropped";
}

/** The median. */
function formatRoundTrip(roundTrips: readonly number[]): string {
  const middle = roundTrips.toSorted((a, b) => a - b)[Math.floor(roundTrips.length / 2)];
  return middle === undefined ? "-" : `${(middle * 1000).toFixed(1)} ms`;
}

function formatEcho(echo: SurveyedPairStatus["echo"]): string {
  if (echo === null) return "not tried";
  return echo.answered ? "answered" : "no answer";
}

function formatSize(echo: SurveyedPairStatus["echo"]): string {
  if (echo === null || echo.size === null) return "-";
  return `${echo.size}${echo.sizePasses ? "" : ", lost"}`;
}
