/**
 * A data plane in a process of its own, so that it can be killed. Its argument is JSON: `tag`,
 * `ulids` and perhaps `mapping`. Needs `npm run build`.
 */
import { NfqueueDataPlane } from "../../../dist/dataplane/nfqueue/plane.js";

const { tag, ulids, mapping } = JSON.parse(process.argv[2]);
const warn = (message) => console.error(message);
const plane = new NfqueueDataPlane({
  trigger: { packets: 20, age: undefined },
  inboundHook: "prerouting",
  backend: "auto",
  queue: 14_000,
  warn,
});
const ignore = () => undefined;
try {
  await plane.open({
    trigger: ignore,
    control: ignore,
    unknownTag: ignore,
    inboundPayload: ignore,
    mappingInForce: ignore,
    icmpError: ignore,
    failed: (error) => {
      throw error;
    },
  });
  plane.setContext(tag, ulids);
  if (mapping !== undefined) plane.setMapping(tag, mapping);
  console.log("ready");
  setInterval(() => console.log(`packets ${plane.traffic(tag).packetsOut}`), 50);
} catch (error) {
  console.error(`${error.name}: ${error.message} Remedy: ${error.remedy}`);
  process.exit(1);
}
