import { useState } from "preact/hooks";
import type { Finding, UplinkStatus, Warning } from "../../../src/daemon/api.ts";
import { client, Refusal } from "../client.ts";
import { shorten, type Tone } from "../model/words.ts";
import type { Store } from "../store.ts";
import { ThroughputChart } from "./chart.tsx";
import { Sign } from "./signs.tsx";

const TONES: Readonly<Record<Warning["severity"], Tone>> = {
  error: "bad",
  warning: "busy",
  info: "idle",
};

/** The host's uplinks, what is the matter with it, and what to do. */
export function Health({ store }: { readonly store: Store }) {
  const { status, access } = store;
  if (status === undefined) return null;
  return (
    <section class="panel health" aria-labelledby="health-title">
      <header class="panel-head">
        <h2 id="health-title">Health</h2>
        <ul class="uplinks">
          {status.uplinks.map((uplink) => (
            <Uplink key={uplink.interface} uplink={uplink} />
          ))}
        </ul>
        {status.warnings.length === 0 ? <span class="muted">No warnings.</span> : null}
      </header>
      <ul class="warnings">
        {status.warnings.map(({ code, severity, text }) => (
          <li key={`${code} ${text}`} class={TONES[severity]}>
            <Sign tone={TONES[severity]} /> <strong>{SEVERITIES[severity]}</strong> {text}
          </li>
        ))}
      </ul>
      {access?.mayChange === true ? <HostCheck /> : null}
    </section>
  );
}

const SEVERITIES = { error: "Error:", warning: "Warning:", info: "Note:" } as const;

/** What passes on all contexts together. */
export function HostThroughput({ store }: { readonly store: Store }) {
  return (
    <section class="panel" aria-labelledby="host-throughput-title">
      <header class="panel-head">
        <h2 id="host-throughput-title">This host, by local address</h2>
      </header>
      <ThroughputChart label="Throughput of the host" chart={store.throughput.host} />
    </section>
  );
}

function Uplink({ uplink }: { readonly uplink: UplinkStatus }) {
  const { operational, problem, role, locators } = uplink;
  const tone = operational ? "good" : "bad";
  return (
    <li class={tone}>
      <Sign tone={tone} /> <strong>{uplink.interface}</strong>
      {role === "ordinary" ? "" : `, ${role}`}: {operational ? "works" : (problem ?? "down")}{" "}
      <span class="mono muted">{locators.map(shorten).join(", ")}</span>
    </li>
  );
}

/** Looks for what keeps sessions from being protected, with what to do about each. */
function HostCheck() {
  const [findings, setFindings] = useState<readonly Finding[]>();
  const [trouble, setTrouble] = useState("");
  const check = async () => {
    try {
      setFindings((await client.check()).findings);
      setTrouble("");
    } catch (error) {
      if (!(error instanceof Refusal || error instanceof TypeError)) throw error;
      setTrouble(`Not done: ${error.message}`);
    }
  };
  return (
    <div class="check">
      <button type="button" onClick={() => void check()}>
        Check this host
      </button>
      <output>{findings?.length === 0 ? "Nothing found." : trouble}</output>
      <ul class="warnings">
        {findings?.map(({ id, severity, subject, sentence, remedy }) => (
          <li key={`${id} ${subject}`} class={TONES[severity]}>
            <Sign tone={TONES[severity]} /> <strong>{subject ?? severity}</strong> {sentence}
            {remedy === null ? null : <span class="remedy">{remedy}</span>}
          </li>
        ))}
      </ul>
    </div>
  );
}
