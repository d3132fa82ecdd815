import { parseArgs } from "node:util";
import { handshakeModel } from "../test/model/handshake-model.ts";
import { everyPathSet, reapModel } from "../test/model/reap-model.ts";
import { SCENARIOS } from "../test/model/scenarios.ts";
import { type SearchResult, search } from "../test/model/search.ts";

/** `npm run model -- --depth N`: the search of test/model as deep as one has time for. */
const { values } = parseArgs({
  options: {
    depth: { type: "string", default: "9" },
    "reap-depth": { type: "string", default: "5" },
  },
});

for (const scenario of SCENARIOS) {
  report(scenario.name, () => search(handshakeModel(scenario), Number(values.depth)));
}
for (const paths of everyPathSet()) {
  report(paths.name, () => search(reapModel(paths), Number(values["reap-depth"])));
}

function report(name: string, run: () => SearchResult): void {
  const started = performance.now();
  const { states, transitions, depth, exhausted, violation } = run();
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const end = exhausted ? "exhausted" : "bounded";
  process.stdout.write(
    `${name}: ${states} states, ${transitions} transitions, depth ${depth} (${end}), ${seconds} s\n`,
  );
  if (violation === undefined) return;
  process.stdout.write(`  ${violation.problem}\n    ${violation.trace.join("\n    ")}\n`);
  process.exitCode = 1;
}
