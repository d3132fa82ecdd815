import { useMemo, useState } from "preact/hooks";
import type { ContextStatus } from "../../../src/daemon/api.ts";
import { countGroups, type Filter, selectContexts } from "../model/contexts.ts";
import { formatArrow } from "../model/timeline.ts";
import { formatReason, formatWhy, shorten, standingOf } from "../model/words.ts";
import type { Store } from "../store.ts";
import { Countdown, StandingChip } from "./signs.tsx";
import { VirtualListBox } from "./virtual-list.tsx";

const ROW_HEIGHT = 58;

const FILTERS: readonly (readonly [Filter, string])[] = [
  ["all", "All"],
  ["operational", "Operational"],
  ["exploring", "Exploring"],
  ["other", "Not established"],
];

interface ContextListProps {
  readonly store: Store;
  readonly onChoose: (tag: string) => void;
}

/** All contexts, of which one can be chosen. */
export function ContextList({ store, onChoose }: ContextListProps) {
  const [filter, setFilter] = useState<Filter>("all");
  const [text, setText] = useState("");
  const contexts = [...store.contexts.values()];
  const counts = countGroups(contexts);
  const shown = selectContexts(contexts, { filter, text });
  const choose = (tag: string) => {
    store.update(() => {
      store.selected = tag;
    });
    onChoose(tag);
  };
  return (
    <section class="panel contexts" aria-labelledby="contexts-title">
      <header class="panel-head">
        <h2 id="contexts-title">Contexts</h2>
        <fieldset class="filters">
          <legend class="unseen">Which contexts</legend>
          {FILTERS.map(([value, label]) => (
            <button
              key={value}
              type="button"
              class="filter"
              aria-pressed={filter === value}
              onClick={() => setFilter(value)}
            >
              {label} <span class="count">{counts[value]}</span>
            </button>
          ))}
        </fieldset>
        <input
          type="search"
          class="search"
          placeholder="Address or tag"
          aria-label="Find by address or tag"
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
      </header>
      {shown.length === 0 ? (
        <p class="empty">{counts.all === 0 ? NONE_YET : "No context is like that."}</p>
      ) : (
        <VirtualListBox
          id="context"
          label="Contexts"
          items={shown}
          rowHeight={ROW_HEIGHT}
          keyOf={tagOf}
          chosen={store.selected}
          onChoose={choose}
          render={renderRow}
        />
      )}
    </section>
  );
}

const NONE_YET =
  "No contexts yet. A pair of hosts gets one after its first packets, where both run L3SHIM.";

function tagOf({ localTag }: ContextStatus): string {
  return localTag;
}

function renderRow(context: ContextStatus) {
  return <ContextRow context={context} />;
}

function ContextRow({ context }: { readonly context: ContextStatus }) {
  return useMemo(() => {
    const { localUlid, peerUlid, localLocator, peerLocator, next } = context;
    const moved = localLocator !== localUlid || peerLocator !== peerUlid;
    return (
      <div class="context-row">
        <span class="ends mono" title={`${localUlid} → ${peerUlid}`}>
          {shorten(localUlid)} <span class="arrow">→</span> {shorten(peerUlid)}
        </span>
        <StandingChip standing={standingOf(context)} />
        <span class="path">
          {moved ? <span class="mono">via {formatArrow(context)}</span> : "on its own addresses"}
          <span class="why">, {formatWhy(context)}</span>
        </span>
        <span class="waits">
          {next === null ? null : (
            <>
              {formatReason(next)} <Countdown at={next.at} />
            </>
          )}
        </span>
      </div>
    );
  }, [context]);
}
