import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { TriggerPolicy } from "../../../src/dataplane/dataplane.ts";
import type { Attach } from "../../../src/dataplane/ebpf/attachments.ts";
import { EbpfDataPlane, type EbpfOptions } from "../../../src/dataplane/ebpf/plane.ts";
import { type EbpfSystem, LINUX_EBPF } from "../../../src/dataplane/ebpf/system.ts";
import { mountBpffs } from "../../../src/linux/bpffs.ts";
import type { LabHost } from "./plane-lab.ts";

export const SHIM_OBJECT = fileURLToPath(new URL("../../../dist/bpf/shim6.bpf.o", import.meta.url));

/** Planes of one test file, which pin their programs on a bpffs of its own. */
export class EbpfHosts {
  readonly #directory = mkdtempSync(join(tmpdir(), "l3shim-bpf-"));
  readonly #attach: Attach;

  /** @param attach how programs are attached, if not as the kernel does best */
  constructor(attach: Attach = LINUX_EBPF.attach) {
    this.#attach = attach;
    mountBpffs(this.#directory);
  }

  /** A plane in this process whose sockets, links and programs are in the host's namespace. */
  create(
    host: LabHost,
    trigger: TriggerPolicy,
    settings: Partial<EbpfOptions> = {},
  ): EbpfDataPlane {
    const options: EbpfOptions = {
      objectFile: SHIM_OBJECT,
      pinDirectory: this.pinDirectory(host),
      contexts: 1024,
      trigger,
      warn: (message) => console.log(message),
      ...settings,
    };
    return new EbpfDataPlane(options, systemOf(host, this.#attach));
  }

  pinDirectory(host: LabHost): string {
    return join(this.#directory, host.name);
  }

  /** Once all planes are closed. */
  remove(): void {
    execFileSync("umount", [this.#directory]);
    rmSync(this.#directory, { recursive: true });
  }
}

function systemOf(host: LabHost, attach: Attach): EbpfSystem {
  return {
    attach: (...args) => host.enter(() => attach(...args)),
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
}
