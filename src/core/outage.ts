import { between, type Duration, type Instant } from "./time.ts";

/** Probes of a context so far. */
interface ProbeCounts {
  readonly probesSent: number;
  readonly probesReceived: number;
}

/** An exploration under way, and the probes that there had been before it. */
export interface Outage extends ProbeCounts {
  readonly lastHeard: Instant;
  readonly startedAt: Instant;
}

/** What an exploration came to, for its report. */
interface OutageCost extends ProbeCounts {
  readonly detection: Duration;
  readonly exploration: Duration;
}

/** The outage ends now, with so many probes of the context sent and received. */
export function costOf(outage: Outage, now: Instant, counts: ProbeCounts): OutageCost {
  const { lastHeard, startedAt, probesSent, probesReceived } = outage;
  return {
    detection: between(lastHeard, startedAt),
    exploration: between(startedAt, now),
    probesSent: counts.probesSent - probesSent,
    probesReceived: counts.probesReceived - probesReceived,
  };
}
