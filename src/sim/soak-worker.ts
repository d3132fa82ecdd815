import { parentPort } from "node:worker_threads";
import { simulate } from "./simulation.ts";
import { type SoakGroup, soakScenario } from "./soak.ts";
import { summarize } from "./soak-summary.ts";

// One group for each message, until the thread is ended.
parentPort?.on("message", (group: SoakGroup) => {
  const scenario = soakScenario(group);
  parentPort?.postMessage(summarize(scenario, simulate(scenario, { seed: group.seed })));
});
