import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import type { Mapping } from "../../../src/core/output.ts";
import { contextTag } from "../../../src/wire/tag.ts";
import type { LabHost, PlaneLab, TestProcess } from "./plane-lab.ts";

const PROCESS = fileURLToPath(new URL("./plane-process.mjs", import.meta.url));
const PLANE = {
  plane: "nfqueue",
  options: { inboundHook: "prerouting", backend: "auto", queue: 14_000 },
};

export const TAG_OF_A = contextTag(0x1111_2222_3333);
export const TAG_OF_B = contextTag(0x4444_5555_6666);

/** The hosts' ULIDs on their second path. */
export function mappingsOf(lab: PlaneLab): { a: Mapping; b: Mapping } {
  return {
    a: { ...lab.pairs(lab.a), peerTag: TAG_OF_B },
    b: { ...lab.pairs(lab.b), peerTag: TAG_OF_A },
  };
}

/** What runs the plane in user space in a process of its own. */
export function nfqueueCommand(lab: PlaneLab, host: LabHost, mapped: boolean): string[] {
  const mapping = host === lab.a ? mappingsOf(lab).a : mappingsOf(lab).b;
  const tag = host === lab.a ? TAG_OF_A : TAG_OF_B;
  const task = { ...PLANE, tag, ulids: mapping.ulids, ...(mapped ? { mapping } : {}) };
  return [process.execPath, PROCESS, JSON.stringify(task)];
}

/** That process, once it is ready. */
export async function startNfqueueProcess(
  lab: PlaneLab,
  host: LabHost,
  mapped: boolean,
): Promise<TestProcess> {
  const plane = host.start(...nfqueueCommand(lab, host, mapped));
  await plane.said("ready");
  return plane;
}

export async function expectTraffic(lab: PlaneLab): Promise<void> {
  expect(await lab.a.ping(lab.b, 3)).toBe(3);
  const { ulid } = lab.a;
  const tcp = lab.a.traffic("tcp", ulid, lab.b.ulid, 2_000_000);
  expect(await tcp.result()).toContain("intact");
  const udp = lab.a.traffic("udp", ulid, lab.b.ulid, 3000, 2);
  expect(await udp.result()).toContain("intact");
}
