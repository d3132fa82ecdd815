import { formatAge, formatBytes } from "../../../src/cli/spans.ts";
import type { ContextStatus } from "../../../src/daemon/api.ts";
import { formatArrow } from "../model/timeline.ts";
import { formatReason, formatWhy, standingOf } from "../model/words.ts";
import type { Store } from "../store.ts";
import { ThroughputChart } from "./chart.tsx";

import { useNow } from "./hooks.ts";
import { Paths } from "./paths.tsx";
import { Countdown, StandingChip } from "./signs.tsx";

interface DetailProps {
  readonly store: Store;
  /** Asks the daemon for the context out of turn. */
  readonly onChanged: (tag: string) => void;
}

/** All about the context that is looked at. */
export function ContextDetail({ store, onChanged }: DetailProps) {
  const { selected } = store;
  const context = selected === undefined ? undefined : store.contexts.get(selected);
  if (context === undefined) return null;
  const { localTag, localUlid, peerUlid } = context;
  return (
    <section class="panel detail" aria-labelledby="detail-title">
      <header class="panel-head">
        <h2 id="detail-title" class="mono">
          {localUlid} <span class="arrow">→</span> {peerUlid}
        </h2>
        <StandingChip standing={standingOf(context)} />
      </header>
      <Headline context={context} />
      <Paths
        key={localTag}
        context={context}
        pairs={store.pairs.get(localTag) ?? []}
        mayChange={store.access?.mayChange === true}
        onDone={() => onChanged(localTag)}
      />
      <h3>Throughput by path</h3>
      <ThroughputChart key={localTag} label="Throughput" chart={store.throughput.of(localTag)} />
      <Facts context={context} />
    </section>
  );
}

/** Which path, why, since when, and what comes next. */
function Headline({ context }: { readonly context: ContextStatus }) {
  const now = useNow();
  const { next, path } = context;
  return (
    <dl class="headline">
      <div>
        <dt>Path</dt>
        <dd class="mono">{formatArrow(context)}</dd>
      </div>
      <div>
        <dt>Why</dt>
        <dd>
          {formatWhy(context)}
          {path === null ? "" : `, ${formatAge(path.since, now)}`}
        </dd>
      </div>
      <div>
        <dt>Waits for</dt>
        <dd>
          {next === null ? (
            "nothing"
          ) : (
            <>
              {formatReason(next)}: <Countdown at={next.at} />
            </>
          )}
        </dd>
      </div>
    </dl>
  );
}

function Facts({ context }: { readonly context: ContextStatus }) {
  const now = useNow();
  const facts: readonly (readonly [string, string])[] = [
    ["Tag", `${context.localTag}, the peer's ${context.peerTag ?? "not known"}`],
    ["Role", context.initiator ? "initiator" : "responder"],
    ["Established", formatAge(context.establishedAt, now)],
    ["Switches", `${context.switches}, the last ${formatAge(context.lastSwitchAt, now)}`],
    ["In", trafficOf(context.packetsIn, context.bytesIn, context.lastIn, now)],
    ["Out", trafficOf(context.packetsOut, context.bytesOut, context.lastOut, now)],
    ["Probes", `${context.probesSent} sent, ${context.probesReceived} received`],
    ["Keepalives", `${context.keepalivesSent} sent, ${context.keepalivesReceived} received`],
  ];
  return (
    <dl class="facts-grid">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function trafficOf(packets: number, bytes: number, last: string | null, now: number): string {
  return `${formatBytes(bytes)}, ${packets} packets, ${formatAge(last, now)}`;
}
