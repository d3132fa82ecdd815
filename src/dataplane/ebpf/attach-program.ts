import { existsSync, rmSync } from "node:fs";
import { attachClsact, detachClsact } from "../../linux/bpf-clsact.ts";
import { attachTcx, type BpfLink, bpfLinkFromPin, type Direction } from "../../linux/bpf-link.ts";
import type { BpfProgram } from "../../linux/bpf-program.ts";
import { SystemError } from "../../linux/system-error.ts";
import type { Attach, AttachedProgram } from "./attachments.ts";

/** How a kernel says that it has no tcx: before 6.6 it knows no such place for a program. */
const WITHOUT_TCX: readonly string[] = ["EINVAL", "EOPNOTSUPP"];

/** Of our filters among others: late on the way in and out, as a program on tcx runs behind others. */
const FILTER_PLACE = { priority: 14_000, handle: 1 };

/** On tcx, or on a clsact qdisc where the kernel has no tcx. */
export const attachProgram: Attach = (program, link, direction, pinPath) => {
  try {
    return attachPinned(program, link, direction, pinPath);
  } catch (error) {
    if (!(error instanceof SystemError) || !WITHOUT_TCX.includes(error.code)) throw error;
    return attachFilter(program, link, direction, pinPath);
  }
};

/** As {@link attachProgram} does on kernels without tcx. A filter stays without being pinned. */
export const attachFilter: Attach = (program, link, direction) => {
  const filter = attachClsact(program, link, direction, FILTER_PLACE);
  return {
    isInPlace: () => filter.isAttached(),
    remove: () => filter.detach(),
    release: () => filter.close(),
  };
};

/** Takes off what {@link attachFilter} left on a link; without any there is nothing to do. */
export function removeFilters(link: number): void {
  for (const direction of ["ingress", "egress"] as const) {
    detachClsact(link, direction, FILTER_PLACE);
  }
}

function attachPinned(
  program: BpfProgram,
  link: number,
  direction: Direction,
  pinPath: string,
): AttachedProgram {
  const attached = takeOver(program, pinPath) ?? attachTcx(program, link, direction);
  if (!existsSync(pinPath)) attached.pin(pinPath);
  return {
    isInPlace: () => attached.isAttached(),
    remove: () => {
      rmSync(pinPath, { force: true });
      attached.close();
    },
    release: () => attached.close(),
  };
}

/** The link that an earlier run pinned, with this program in it; `undefined` without one. */
function takeOver(program: BpfProgram, pinPath: string): BpfLink | undefined {
  if (!existsSync(pinPath)) return undefined;
  const link = bpfLinkFromPin(pinPath);
  try {
    link.update(program);
    return link;
  } catch (error) {
    // Its interface has gone, and another one has the index.
    if (!(error instanceof SystemError)) throw error;
    link.close();
    rmSync(pinPath);
    return undefined;
  }
}
