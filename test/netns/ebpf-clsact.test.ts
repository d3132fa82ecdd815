import { afterAll, beforeAll, expect, test } from "vitest";
import type { TriggerPolicy } from "../../src/dataplane/dataplane.ts";
import { attachFilter } from "../../src/dataplane/ebpf/attach-program.ts";
import { flushEbpf } from "../../src/dataplane/ebpf/flush.ts";
import { contextTag } from "../../src/wire/tag.ts";
import { EbpfHosts } from "./support/ebpf-host.ts";
import { PlaneLab } from "./support/plane-lab.ts";
import { RecordedEvents } from "./support/recorded-events.ts";

/** What the eBPF plane does on kernels before 6.6, which have no tcx. */

const TRIGGER: TriggerPolicy = { packets: 20, age: undefined };
const TAG_OF_A = contextTag(0x1234_5678_9abc);
const TAG_OF_B = contextTag(0x7edc_ba98_7654);

const hosts = new EbpfHosts(attachFilter);
let lab: PlaneLab;

beforeAll(async () => {
  lab = await PlaneLab.create();
});

afterAll(async () => {
  await lab.destroy();
  hosts.remove();
});

test("filters on a clsact qdisc move a session, and go with the plane", async () => {
  const before = await lab.a.state();
  const a = hosts.create(lab.a, TRIGGER);
  const b = hosts.create(lab.b, TRIGGER);
  await a.open(new RecordedEvents());
  await b.open(new RecordedEvents());
  try {
    a.setContext(TAG_OF_A, lab.pairs(lab.a).ulids);
    b.setContext(TAG_OF_B, lab.pairs(lab.b).ulids);
    expect(await lab.a.ping(lab.b, 3)).toBe(3);
    expect(a.traffic(TAG_OF_A)).toMatchObject({ packetsOut: 3, packetsIn: 3 });
    a.setMapping(TAG_OF_A, { ...lab.pairs(lab.a), peerTag: TAG_OF_B });
    b.setMapping(TAG_OF_B, { ...lab.pairs(lab.b), peerTag: TAG_OF_A });
    await lab.withoutFirstPath(async () => {
      expect(await lab.a.ping(lab.b, 3)).toBe(3);
      const transfer = lab.a.traffic("tcp", lab.a.ulid, lab.b.ulid, 1_000_000);
      expect(await transfer.result()).toContain("intact");
    });
    expect(await lab.a.run("tc", "filter", "show", "dev", "isp1", "ingress")).toContain("l3shim:");
  } finally {
    await a.close();
    await b.close();
  }
  expect(await lab.a.state()).toEqual(before);
});

test("a flush takes the filters away that a plane left", async () => {
  const before = await lab.a.state();
  const a = hosts.create(lab.a, TRIGGER);
  await a.open(new RecordedEvents());
  a.setContext(TAG_OF_A, lab.pairs(lab.a).ulids);
  a.setMapping(TAG_OF_A, { ...lab.pairs(lab.a), peerTag: TAG_OF_B });
  await a.release();
  expect(await lab.a.run("tc", "filter", "show", "dev", "isp1", "ingress")).toContain("l3shim:");
  lab.a.enter(() => flushEbpf(hosts.pinDirectory(lab.a)));
  expect(await lab.a.state()).toEqual(before);
});
