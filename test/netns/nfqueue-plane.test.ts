import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { DataPlane, TriggerPolicy } from "../../src/dataplane/dataplane.ts";
import { DataPlaneError } from "../../src/dataplane/dataplane.ts";
import { NfqueueDataPlane, type NfqueueOptions } from "../../src/dataplane/nfqueue/plane.ts";
import { NftRules } from "../../src/dataplane/nfqueue/rules-nft.ts";
import { LINUX, type PlaneSystem } from "../../src/dataplane/nfqueue/system.ts";
import { describeDataPlane } from "./dataplane-compliance.ts";
import { describeEncapsulation } from "./dataplane-encapsulation.ts";
import { until } from "./support/namespaces.ts";
import {
  expectTraffic,
  mappingsOf,
  nfqueueCommand,
  startNfqueueProcess,
  TAG_OF_A,
  TAG_OF_B,
} from "./support/nfqueue-process.ts";
import { type LabHost, PlaneLab } from "./support/plane-lab.ts";
import { RecordedEvents } from "./support/recorded-events.ts";

type Settings = Partial<NfqueueOptions> & {
  /** Takes the place of the commands that the plane would run. */
  readonly command?: string;
};

/** A plane in this process whose sockets and commands are in the host's namespace. */
function createIn(host: LabHost, trigger: TriggerPolicy, settings: Settings = {}): DataPlane {
  const { command, ...options } = settings;
  const system: PlaneSystem = {
    now: LINUX.now,
    openLog: (...args) => host.enter(() => LINUX.openLog(...args)),
    openQueue: (...args) => host.enter(() => LINUX.openQueue(...args)),
    openShim6Socket: (...args) => host.enter(() => LINUX.openShim6Socket(...args)),
    openIcmp6Socket: (...args) => host.enter(() => LINUX.openIcmp6Socket(...args)),
    openRoutes: () => host.enter(() => LINUX.openRoutes()),
    run: ([file = "", ...args], input) => {
      const chosen = command === undefined ? file : file.replace(/^ip6tables(?=-|$)/, command);
      return LINUX.run(["ip", "netns", "exec", host.name, chosen, ...args], input);
    },
  };
  const warn = (message: string): void => console.log(message);
  return new NfqueueDataPlane(
    {
      trigger,
      queue: 14_000,
      backend: "auto",
      inboundHook: "prerouting",
      withholdErrors: true,
      warn,
      ...options,
    },
    system,
  );
}

describeDataPlane("nfqueue", (host, trigger) => createIn(host, trigger));

describeEncapsulation("nfqueue", (host, trigger, udpPort) => createIn(host, trigger, { udpPort }));

describe("the nfqueue plane", () => {
  const trigger: TriggerPolicy = { packets: 20, age: undefined };
  let lab: PlaneLab;

  beforeAll(async () => {
    lab = await PlaneLab.create();
  });

  afterAll(async () => {
    await lab.destroy();
  });

  /** Opens a plane on each host and maps their ULIDs to the second path while `use` runs. */
  async function withMappedPlanes(settings: Settings, use: () => Promise<void>): Promise<void> {
    const a = createIn(lab.a, trigger, settings);
    const b = createIn(lab.b, trigger, settings);
    const events = new RecordedEvents();
    try {
      await a.open(events);
      await b.open(events);
      const { a: fromA, b: fromB } = mappingsOf(lab);
      a.setContext(TAG_OF_A, fromA.ulids);
      b.setContext(TAG_OF_B, fromB.ulids);
      a.setMapping(TAG_OF_A, fromA);
      b.setMapping(TAG_OF_B, fromB);
      await lab.withoutFirstPath(async () => {
        for (let i = 0; i < 50; i++) if ((await lab.a.ping(lab.b, 1)) === 1) break;
        await use();
      });
    } finally {
      await a.close();
      await b.close();
    }
    expect(events.failures).toEqual([]);
  }

  test.each([
    { settings: { inboundHook: "input" } as const },
    { settings: { backend: "ip6tables", command: "ip6tables-legacy" } as const },
    { settings: { backend: "ip6tables", command: "ip6tables-nft" } as const },
  ])("rewrites with $settings and leaves nothing behind", async ({ settings }) => {
    // The command makes tables and base chains when it is first used, and they stay.
    await withMappedPlanes(settings, async () => undefined);
    const before = await lab.a.state();
    await withMappedPlanes(settings, () => expectTraffic(lab));
    expect(await lab.a.state()).toEqual(before);
  });

  test("nft takes its rules, but for the queue statement that a kernel may lack", async () => {
    const nft = new NftRules((argv, input) => {
      const script = input.replace(/queue num \d+ bypass/g, "accept");
      return LINUX.run(["ip", "netns", "exec", lab.a.name, ...argv], script);
    });
    const before = await lab.a.state();
    for (const inboundHook of ["prerouting", "input"] as const) {
      await nft.installRewriting({ queue: 14_000, inboundHook, withholdErrors: true });
      await nft.installObserving(14_000);
      await nft.changeMapped([mappingsOf(lab).a.ulids, mappingsOf(lab).a.locators], []);
      const set = await lab.a.run("nft", "list", "set", "ip6", "l3shim-rewrite", "mapped");
      expect(set).toContain(`${lab.a.locator} . ${lab.b.locator}`);
      await nft.changeMapped([], [mappingsOf(lab).a.ulids, mappingsOf(lab).a.locators]);
      const uplink = { interface: "isp1", link: 2 };
      await nft.installDrill({
        queue: 14_000,
        uplink,
        pairs: [mappingsOf(lab).a.ulids],
        udpPort: 61_140,
      });
      const drill = await lab.a.run("nft", "list", "table", "ip6", "l3shim-drill");
      expect(drill).toContain(`${lab.a.ulid} . ${lab.b.ulid}`);
      await nft.removeDrill();
      await nft.remove();
    }
    expect(await lab.a.state()).toEqual(before);
  });

  test("nft's rules tell payload from control messages", async () => {
    const nft = new NftRules((argv, input) => {
      const script = input.replace(/queue num \d+ bypass/g, "counter");
      return LINUX.run(["ip", "netns", "exec", lab.b.name, ...argv], script);
    });
    const counted = async (): Promise<string[]> => {
      const chain = await lab.b.run("nft", "list", "chain", "ip6", "l3shim-rewrite", "payload");
      return [...chain.matchAll(/counter packets (\d+)/g)].map(([, packets = ""]) => packets);
    };
    const a = createIn(lab.a, trigger);
    await a.open(new RecordedEvents());
    await nft.installRewriting({ queue: 14_000, inboundHook: "prerouting", withholdErrors: true });
    try {
      a.sendControl(lab.a.locator, lab.b.locator, Uint8Array.of(59, 0, 1, 0, 0, 0, 0, 0));
      a.setContext(TAG_OF_A, mappingsOf(lab).a.ulids);
      expect(await lab.a.ping(lab.b, 1)).toBe(1);
      expect(await counted()).toEqual(["0", "0"]);
      a.setMapping(TAG_OF_A, mappingsOf(lab).a);
      await lab.withoutFirstPath(async () => {
        expect(await lab.a.ping(lab.b, 3, "-W", "0.2")).toBe(0);
      });
      expect(await counted()).toEqual(["3", "0"]);
    } finally {
      await nft.remove();
      await a.close();
    }
  });

  test("a second plane in the namespace is refused and harms nothing", async () => {
    const first = createIn(lab.a, trigger);
    const events = new RecordedEvents();
    await first.open(events);
    try {
      const taken = await lab.a.state();
      const second = createIn(lab.a, trigger);
      const refusal = await second.open(new RecordedEvents()).catch((error: unknown) => error);
      expect(refusal).toBeInstanceOf(DataPlaneError);
      expect((refusal as DataPlaneError).message).toContain("EBUSY");
      expect((refusal as DataPlaneError).remedy).toContain("nfqueue.queue");
      expect(await lab.a.state()).toEqual(taken);
      await lab.a.ping(lab.b, 10);
      expect(events.triggers).toHaveLength(1);
    } finally {
      await first.close();
    }
  });

  test("without CAP_NET_ADMIN it names the capability and leaves nothing behind", async () => {
    const before = await lab.a.state();
    const caps = ["setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin"];
    const plane = lab.a.start(...caps, ...nfqueueCommand(lab, lab.a, false));
    await expect(plane.result()).rejects.toThrow(/DataPlaneError.*EPERM.*CAP_NET_ADMIN/);
    expect(await lab.a.state()).toEqual(before);
  });

  describe("killed", () => {
    async function cleanUp(): Promise<void> {
      for (const host of [lab.a, lab.b]) {
        const plane = createIn(host, trigger);
        await plane.open(new RecordedEvents());
        await plane.close();
      }
    }

    test("in a null-mapped transfer, it costs nothing", async () => {
      const planes = [
        await startNfqueueProcess(lab, lab.a, false),
        await startNfqueueProcess(lab, lab.b, false),
      ];
      const client = lab.a.traffic("tcp", lab.a.ulid, lab.b.ulid, 500_000, 40, 50);
      await client.said("connected");
      await until("traffic", () => /packets [1-9]\d\d/.test(planes[0]?.output ?? ""));
      for (const plane of planes) await plane.stop("SIGKILL");
      expect(client.output).not.toContain("intact");
      expect(await client.result()).toContain("intact");
      expect(await lab.a.ping(lab.b, 20)).toBe(20);
      await cleanUp();
    });

    test("it leaves rules that the next plane replaces, and none is doubled", async () => {
      const before = await lab.a.state();
      const clean = createIn(lab.a, trigger);
      await clean.open(new RecordedEvents());
      const opened = await lab.a.state();
      await clean.close();
      const plane = await startNfqueueProcess(lab, lab.a, true);
      await until("packets", () => plane.output.includes("packets"));
      await plane.stop("SIGKILL");
      expect(await lab.a.state()).not.toEqual(before);
      const next = createIn(lab.a, trigger);
      await next.open(new RecordedEvents());
      expect(await lab.a.state()).toEqual(opened);
      await next.close();
      expect(await lab.a.state()).toEqual(before);
    });
  });
});
