import { useMemo } from "preact/hooks";
import { type Store, useStore } from "./store.ts";
import { ContextDetail } from "./views/context-detail.tsx";
import { ContextList } from "./views/context-list.tsx";
import { Health, HostThroughput } from "./views/health.tsx";
import { TimelineView } from "./views/timeline-view.tsx";
import { TopBar } from "./views/top-bar.tsx";

interface AppProps {
  readonly store: Store;
  readonly lookAt: (tag: string) => void;
}

export function App({ store, lookAt }: AppProps) {
  useStore(store);
  const { access, connection, selected, status, throughput, timeline } = store;
  const context = selected === undefined ? undefined : store.contexts.get(selected);
  const pairs = selected === undefined ? undefined : store.pairs.get(selected);
  // Events come by the hundred; only what they change is drawn anew.
  const top = useMemo(() => <TopBar store={store} />, [access, connection, status]);
  const health = useMemo(() => <Health store={store} />, [access, status]);
  const contexts = useMemo(
    () => <ContextList store={store} onChoose={lookAt} />,
    [store.contextChanges, selected],
  );
  const events = useMemo(() => <TimelineView store={store} />, [timeline.newest, selected]);
  const detail = useMemo(
    () => <ContextDetail store={store} onChanged={lookAt} />,
    [context, pairs, access, throughput.samples],
  );
  const host = useMemo(() => <HostThroughput store={store} />, [throughput.samples]);
  return (
    <>
      {top}
      <main>
        {health}
        <div class="column">
          {contexts}
          {events}
        </div>
        <div class="column">
          {detail}
          {host}
        </div>
      </main>
    </>
  );
}
