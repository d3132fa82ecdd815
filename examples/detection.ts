/**
 * How long a session stands still when its path dies in silence, by Send Timeout and packet loss:
 * as RFC 5534 notices it, and with adaptive detection. Simulated in virtual time.
 *
 *     node detection.ts
 */
import { type Detection, Endpoint, seconds } from "l3shim/core";
import { type Scenario, simulate } from "l3shim/sim";

const SEND_TIMEOUTS = [3, 10, 15];
const LOSSES = [0, 0.02, 0.1];
const SEEDS = 3;
const FAILS_AT = 60;

console.log("Median seconds without an answer, as RFC 5534 has it / with adaptive detection");
console.log(
  row(
    "Send Timeout",
    LOSSES.map((loss) => `${loss * 100} % loss`),
  ),
);
for (const timeout of SEND_TIMEOUTS) {
  const cells = LOSSES.map((loss) => {
    return `${median(timeout, loss, "rfc")} / ${median(timeout, loss, "adaptive")}`;
  });
  console.log(row(`${timeout} s`, cells));
}

function median(sendTimeout: number, loss: number, detect: Detection): string {
  const outages = Array.from({ length: SEEDS }, (_, i) => outage(sendTimeout, loss, detect, i + 1));
  const middle = outages.toSorted((a, b) => a - b)[Math.floor(SEEDS / 2)] ?? 0;
  return middle < 1 ? "<1" : middle.toFixed(1);
}

/** From the last answer before the failure to the first after it; 0 for less than a second. */
function outage(sendTimeout: number, loss: number, detect: Detection, seed: number): number {
  const { interruptions } = simulate(scenario(sendTimeout, loss), {
    seed,
    // Any engine may take the place of the daemon's here.
    makeEndpoint: (config) => new Endpoint({ ...config, detect, keepaliveTimeout: seconds(3) }),
  });
  const met = interruptions[0]?.find(({ to }) => to > FAILS_AT);
  return met === undefined ? 0 : met.to - met.from;
}

/** Two hosts with two uplinks each; one end's first uplink dies for good, and nobody is told. */
function scenario(sendTimeout: number, loss: number): Scenario {
  return {
    name: "detection",
    summary: "an uplink dies in silence",
    hosts: ["a", "b"].map((name) => ({ name, uplinks: 2 })),
    // A packet passes two links.
    link: { delay: 0.01, loss: 1 - Math.sqrt(1 - loss) },
    flows: [{ kind: "udp", from: "a", to: "b", interval: 0.1 }],
    failures: [
      { type: "uplink", host: "a", uplink: 0, direction: "both", seen: false, at: FAILS_AT },
    ],
    duration: 180,
    sendTimeout,
    contextIdleTimeout: 300,
    trigger: 20,
  };
}

function row(head: string, cells: readonly string[]): string {
  return head.padEnd(12) + cells.map((cell) => cell.padStart(15)).join("");
}
