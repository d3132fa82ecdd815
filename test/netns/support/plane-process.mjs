/**
 * A data plane in a process of its own, so that it can be killed. Its argument is JSON: `plane`
 * ("nfqueue" or "ebpf"), `options` for it, `tag`, `ulids` and perhaps `mapping`. Needs
 * `npm run build`.
 */
import { EbpfDataPlane } from "../../../dist/dataplane/ebpf/plane.js";
import { NfqueueDataPlane } from "../../../dist/dataplane/nfqueue/plane.js";

const planes = { nfqueue: NfqueueDataPlane, ebpf: EbpfDataPlane };
const task = JSON.parse(process.argv[2]);
const { tag, ulids, mapping } = task;
const warn = (message) => console.error(message);
const trigger = { packets: 20, age: undefined };
const plane = new planes[task.plane]({ trigger, warn, ...task.options });
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
