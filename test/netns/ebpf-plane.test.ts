import { afterAll } from "vitest";
import { describeDataPlane } from "./dataplane-compliance.ts";
import { describeEncapsulation } from "./dataplane-encapsulation.ts";
import { EbpfHosts } from "./support/ebpf-host.ts";

const hosts = new EbpfHosts();

afterAll(() => {
  hosts.remove();
});

describeDataPlane("ebpf", (host, trigger) => hosts.create(host, trigger));

describeEncapsulation("ebpf", (host, trigger, udpPort) => hosts.create(host, trigger, { udpPort }));
