import type { Flow, Interval } from "./flow.ts";
import type { Endpoints } from "./flows.ts";
import { LabProcess } from "./lab-process.ts";
import type { Network } from "./network.ts";

/** Seconds between two echo requests. */
const INTERVAL = 0.1;
/** Octets of an echo reply's payload, for the sums. */
const REPLY_OCTETS = 64;

const REPLY = /^\[(\d+\.\d+)\] \d+ bytes from .*icmp_seq=(\d+)/;
const SUMMARY = /^\d+ packets transmitted.*/;

/** Echo requests of `ping -6` every 100 ms; silences are those of the replies. */
export function startPing(network: Network, options: Omit<Endpoints, "port">): Flow {
  const { from, to, source, destination } = options;
  const replies: number[] = [];
  const answered = new Set<string>();
  let duplicates = 0;
  let summary = "";
  const bind = source === undefined ? [] : ["-I", source];
  const process = new LabProcess({
    namespace: network.namespace(from),
    argv: ["ping", "-6", "-n", "-D", "-i", `${INTERVAL}`, ...bind, destination],
    onLine: (line) => {
      const [, seconds, number = ""] = REPLY.exec(line) ?? [];
      if (SUMMARY.test(line)) summary = line;
      if (seconds === undefined) return;
      if (answered.has(number)) duplicates += 1;
      answered.add(number);
      replies.push(Math.round(Number(seconds) * 1000));
    },
  });
  return {
    kind: "ping",
    from,
    to,
    bytesReceived: (since = 0) => replies.filter((time) => time >= since).length * REPLY_OCTETS,
    gaps: () => silences(replies),
    stop: async () => {
      await process.stop("SIGINT");
      return {
        kind: "ping",
        from,
        to,
        samples: replies.map((time) => ({ time, bytes: REPLY_OCTETS })),
        gaps: silences(replies),
        losses: [],
        bytes: replies.length * REPLY_OCTETS,
        lastArrival: replies.at(-1),
        peer: undefined,
        damage: duplicates === 0 ? [] : [`${duplicates} replies came twice`],
        summary,
      };
    },
  };
}

function silences(replies: readonly number[]): Interval[] {
  return replies.slice(1).map((to, index) => ({ from: replies[index] ?? to, to }));
}
