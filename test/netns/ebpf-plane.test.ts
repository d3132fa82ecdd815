import { afterAll } from "vitest";
import { describeDataPlane } from "./dataplane-compliance.ts";
import { EbpfHosts } from "./support/ebpf-host.ts";

const hosts = new EbpfHosts();

afterAll(() => {
  hosts.remove();
});

describeDataPlane("ebpf", (host, trigger) => hosts.create(host, trigger));
