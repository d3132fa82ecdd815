import { formatSpan } from "../../../src/cli/spans.ts";
import type { StatusReply } from "../../../src/daemon/api.ts";
import type { Connection, Store } from "../store.ts";
import { Sign } from "./signs.tsx";

/** Which host this is, how its daemon runs, and whether the page is in step with it. */
export function TopBar({ store }: { readonly store: Store }) {
  const { access, connection, status } = store;
  return (
    <header class="top">
      <h1>
        <img src="icon.svg" alt="" width="22" height="22" /> L3SHIM
      </h1>
      <HostChooser hosts={access?.hosts ?? []} />
      <p class="facts">{status === undefined ? "" : factsOf(status)}</p>
      <ConnectionState connection={connection} />
    </header>
  );
}

function factsOf({ version, dataplane, security, sendTimeout, uptime }: StatusReply): string {
  const facts = [version, dataplane, security, `Send Timeout ${formatSpan(sendTimeout)}`];
  return [...facts, `up ${formatSpan(uptime)}`].join(" · ");
}

/** In a lab each host has its page in a folder of its name. */
function HostChooser({ hosts }: { readonly hosts: readonly string[] }) {
  if (hosts.length === 0) return null;
  const here = location.pathname.split("/").at(-2);
  return (
    <nav class="hosts" aria-label="Host">
      {hosts.map((host) => (
        <a key={host} href={`../${host}/`} aria-current={host === here ? "page" : undefined}>
          {host}
        </a>
      ))}
    </nav>
  );
}

const CONNECTIONS = {
  connecting: ["Connecting", "busy"],
  live: ["Live", "good"],
  lost: ["No connection to the daemon", "bad"],
} as const;

function ConnectionState({ connection }: { readonly connection: Connection }) {
  const [word, tone] = CONNECTIONS[connection];
  return (
    <p class="connection" role="status">
      <Sign tone={tone} /> {word}
    </p>
  );
}
