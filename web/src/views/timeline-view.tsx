import { useState } from "preact/hooks";
import { formatClock } from "../../../src/cli/spans.ts";
import type { Entry } from "../model/timeline.ts";
import type { Store } from "../store.ts";
import { PHONE, useMedia } from "./hooks.ts";
import { Sign } from "./signs.tsx";
import { VirtualList } from "./virtual-list.tsx";

/** What has happened, the newest first, back to the start of the daemon. */
export function TimelineView({ store }: { readonly store: Store }) {
  const [onlySelected, setOnlySelected] = useState(false);
  const isPhone = useMedia(PHONE);
  const { selected, timeline } = store;
  const entries = timeline.entries
    .filter(({ context }) => !onlySelected || context === null || context === selected)
    .reverse();
  return (
    <section class="panel timeline" aria-labelledby="timeline-title">
      <header class="panel-head">
        <h2 id="timeline-title">Timeline</h2>
        <label class="toggle">
          <input
            type="checkbox"
            checked={onlySelected}
            onChange={(event) => setOnlySelected(event.currentTarget.checked)}
          />
          Only the chosen context
        </label>
      </header>
      {entries.length === 0 ? (
        <p class="empty">Nothing has happened yet.</p>
      ) : (
        <VirtualList
          label="What has happened, the newest first"
          items={entries}
          rowHeight={isPhone ? 62 : 48}
          keyOf={keyOf}
          render={renderEntry}
        />
      )}
    </section>
  );
}

function keyOf({ sequence }: Entry): string {
  return String(sequence);
}

function renderEntry(entry: Entry) {
  const at = new Date(entry.time);
  return (
    <div class={`entry ${entry.tone}`}>
      <time class="number" dateTime={at.toISOString()} title={at.toLocaleString()}>
        {formatClock(at)}
      </time>
      <span class="title">
        <Sign tone={entry.tone} /> {entry.title}
      </span>
      <span class="subject mono">{entry.subject}</span>
      <span class="details" title={entry.details}>
        {entry.details}
      </span>
    </div>
  );
}
