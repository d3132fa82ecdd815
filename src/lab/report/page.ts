import { release } from "node:os";
import type { FailureRun } from "../experiment.ts";
import { describeFailure } from "../failure.ts";
import { TABLE_HEADINGS, tableCells } from "../table.ts";
import { problemsOf } from "../verdict.ts";
import { formatOffset, MESSAGE_CLASSES, messageName, renderChart } from "./chart.ts";
import { renderLadder } from "./ladder.ts";
import { escapeText } from "./markup.ts";
import { sentMessages } from "./sent-messages.ts";
import { STYLE } from "./style.ts";

/** The report of a run as one HTML page that needs nothing else. */
export function renderReport(runs: readonly FailureRun[], sendTimeout: number): string {
  const problems = runs.flatMap(problemsOf);
  const verdict =
    problems.length === 0
      ? '<p class="good">Every session went on with its data intact.</p>'
      : `<ul class="bad">${problems.map((text) => `<li>${escapeText(text)}</li>`).join("")}</ul>`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>L3SHIM: the paper's experiment</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>L3SHIM: the paper's experiment</h1>
<p class="about">Hosts a and b talk on the addresses of their first ISP. Then host a's first uplink
fails, in three ways; the sessions go on over its second. Send Timeout ${sendTimeout} s, Linux
${escapeText(release())}, Node.js ${process.versions.node}, ${new Date().toISOString().slice(0, 16)}Z.</p>
${verdict}
${renderTable(runs)}
<p class="note">Interruption: the longest silence at the receiver. Detection: from the failure to the
sender's first probe. Exploration: from there until the sender was Operational. Resumption: from
there to the first arrival. Probes: sent by both hosts.</p>
${runs.map(renderRun).join("\n")}
</main>
</body>
</html>
`;
}

function renderTable(runs: readonly FailureRun[]): string {
  const head = TABLE_HEADINGS.map((heading) => `<th scope="col">${heading}</th>`).join("");
  const body = runs.flatMap((run) =>
    run.measurements.map((measurement, index) => {
      const cells = tableCells(measurement, run.tolerance);
      const title = `<th scope="rowgroup" rowspan="${run.measurements.length}">${run.title}</th>`;
      const data = cells.map((cell) => `<td>${escapeText(cell)}</td>`).join("");
      return `<tr>${index === 0 ? title : ""}${data}</tr>`;
    }),
  );
  return `<div class="wide"><table><thead><tr>${head}</tr></thead><tbody>${body.join("\n")}</tbody></table></div>`;
}

function renderRun(run: FailureRun): string {
  return `<section>
<h2>${escapeText(run.title)}</h2>
<p>${escapeText(`At 0 s, ${describeFailure(run.failure)}.`)} ${renderSession(run)}</p>
<figure class="wide">
${renderChart(run)}
<figcaption>${renderLegend()}</figcaption>
</figure>
${renderExploration(run)}
${renderMessages(run)}
</section>`;
}

function renderExploration(run: FailureRun): string {
  const ladder = renderLadder(run);
  if (ladder === "") return "";
  return `<h3>The exploration, enlarged</h3>\n<figure class="wide">${ladder}</figure>`;
}

function renderSession({ newSession }: FailureRun): string {
  if (newSession === undefined) return "";
  const { source = "nowhere", established, flow } = newSession;
  const context = established ? "with a Shim6 context of its own" : "without a Shim6 context";
  return escapeText(
    `After the recovery host a opened a session to host c, from ${source}, ${context}: ${flow.summary}.`,
  );
}

function renderLegend(): string {
  const messages = MESSAGE_CLASSES.map(
    ([name, label]) => `<span><i class="dot ${name}"></i>${label}</span>`,
  );
  return [
    ...messages,
    '<span><i class="dot lost"></i>hollow: lost</span>',
    '<span><i class="band detection"></i>a detects</span>',
    '<span><i class="band exploration"></i>a explores</span>',
  ].join("\n");
}

function renderMessages({ messages, failedAt }: FailureRun): string {
  const rows = sentMessages(messages).map((message) => {
    const { time, host, source, destination, arrivedAt } = message;
    const cells = [
      formatOffset((time - failedAt) / 1000),
      host,
      messageName(message),
      source,
      destination,
      arrivedAt === undefined ? "lost" : formatOffset((arrivedAt - failedAt) / 1000),
    ];
    return `<tr>${cells.map((cell) => `<td>${escapeText(cell)}</td>`).join("")}</tr>`;
  });
  const head = ["Time", "Sender", "Message", "Source", "Destination", "Arrived"];
  return `<details><summary>All ${rows.length} control messages</summary><div class="wide"><table>
<thead><tr>${head.map((heading) => `<th scope="col">${heading}</th>`).join("")}</tr></thead>
<tbody>${rows.join("\n")}</tbody></table></div></details>`;
}
