import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll } from "vitest";
import type { DataPlane, TriggerPolicy } from "../../src/dataplane/dataplane.ts";
import { EbpfDataPlane, type EbpfOptions } from "../../src/dataplane/ebpf/plane.ts";
import { type EbpfSystem, LINUX_EBPF } from "../../src/dataplane/ebpf/system.ts";
import { mountBpffs } from "../../src/linux/bpffs.ts";
import { describeDataPlane } from "./dataplane-compliance.ts";
import type { LabHost } from "./support/plane-lab.ts";

const OBJECT = fileURLToPath(new URL("../../dist/bpf/shim6.bpf.o", import.meta.url));

const directory = mkdtempSync(join(tmpdir(), "l3shim-bpf-"));
mountBpffs(directory);

afterAll(() => {
  execFileSync("umount", [directory]);
  rmSync(directory, { recursive: true });
});

/** A plane in this process whose sockets, links and programs are in the host's namespace. */
function createIn(
  host: LabHost,
  trigger: TriggerPolicy,
  settings: Partial<EbpfOptions> = {},
): DataPlane {
  const system: EbpfSystem = {
    attach: (...args) => host.enter(() => LINUX_EBPF.attach(...args)),
    takeOver: (...args) => host.enter(() => LINUX_EBPF.takeOver(...args)),
    runProgram: (program) => host.enter(() => LINUX_EBPF.runProgram(program)),
    openShim6Socket: (...args) => host.enter(() => LINUX_EBPF.openShim6Socket(...args)),
    openIcmp6Socket: (...args) => host.enter(() => LINUX_EBPF.openIcmp6Socket(...args)),
    openRoutes: () => host.enter(() => LINUX_EBPF.openRoutes()),
    openDevices: () => {
      const devices = host.enter(() => LINUX_EBPF.openDevices());
      return {
        links: () => devices.links(),
        addVethPair: (pair) => host.enter(() => devices.addVethPair(pair)),
        setLinkUp: (index, up) => devices.setLinkUp(index, up),
        deleteLink: (index) => host.enter(() => devices.deleteLink(index)),
        disableOffloads: (name) => host.enter(() => devices.disableOffloads(name)),
        close: () => devices.close(),
      };
    },
    monitor: (observer) => host.enter(() => LINUX_EBPF.monitor(observer)),
    openDiagnostics: () => host.enter(() => LINUX_EBPF.openDiagnostics()),
  };
  const options: EbpfOptions = {
    objectFile: OBJECT,
    pinDirectory: join(directory, host.name),
    contexts: 1024,
    trigger,
    warn: (message) => console.log(message),
    ...settings,
  };
  return new EbpfDataPlane(options, system);
}

describeDataPlane("ebpf", (host, trigger) => createIn(host, trigger));
