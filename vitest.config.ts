import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Each longer than half a minute, the longest first: what starts last ends last. */
const LONGEST = [
  "test/model/model.test.ts",
  "test/core/fuzz.test.ts",
  "test/fuzz/fuzz.test.ts",
  "test/netns/e2e-lone-shim.test.ts",
  "test/netns/e2e-failover.test.ts",
  "test/netns/nfqueue-plane.test.ts",
  "test/netns/ebpf-plane.test.ts",
  "test/netns/daemon-host.test.ts",
  "test/netns/e2e-own-addresses.test.ts",
  "test/netns/e2e-crash.test.ts",
  "test/netns/e2e-peer-restart.test.ts",
  "test/netns/e2e-survival.test.ts",
  "test/netns/e2e-wire.test.ts",
];

/** Timers of the RFCs, of addresses and of routes, and next to no work. */
const WAITING = [
  "test/netns/e2e-lone-shim.test.ts",
  "test/netns/e2e-own-addresses.test.ts",
  "test/netns/nfqueue-killed.test.ts",
];

/**
 * They look at all labs of the machine, take most of a processor, or measure times to within half
 * a second.
 */
const ALONE = [
  "test/netns/e2e-attacks.test.ts",
  "test/netns/e2e-failover.test.ts",
  "test/netns/e2e-flood.test.ts",
  "test/netns/lab-flows.test.ts",
  "test/netns/lab-leftovers.test.ts",
  "test/netns/lab-network.test.ts",
];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b));
  }
}

function rank({ moduleId }: TestSpecification): number {
  const index = LONGEST.findIndex((file) => moduleId === absolute(file));
  return index < 0 ? LONGEST.length : index;
}

function absolute(file: string): string {
  return fileURLToPath(new URL(file, import.meta.url));
}

/** Run with the data plane in user space too: the others don't depend on who moves the packets. */
const WITH_NFQUEUE = [
  "test/netns/e2e-crash.test.ts",
  "test/netns/e2e-failover.test.ts",
  "test/netns/e2e-forks.test.ts",
  "test/netns/e2e-local-loss.test.ts",
  "test/netns/e2e-path-mtu.test.ts",
  "test/netns/e2e-peer-restart.test.ts",
  "test/netns/e2e-wire.test.ts",
];

/** Real daemons on real packets between network namespaces, which needs root. */
const NETNS = {
  globalSetup: ["test/netns/require-root.ts"],
  testTimeout: 120_000,
  hookTimeout: 120_000,
  isolate: false,
};

const SIDE_BY_SIDE = { maxWorkers: 3, sequence: { groupOrder: 1 } };

/**
 * Five projects: `unit` runs anywhere in virtual time; `netns` waits for a good part, so that
 * several files share two cores; `netns-nfqueue` runs some of its files on the data plane in user
 * space, too; `netns-waiting` needs so little that scripts/test runs it beside the others; and
 * `netns-alone` holds what would disturb the others or be disturbed by them, so that it comes last.
 * The files of a worker share no state but modules, whose loading took a third of the unit tests' time.
 */
export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: ["test/netns/**"],
          isolate: false,
          maxWorkers: availableParallelism(),
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          ...NETNS,
          name: "netns",
          include: ["test/netns/**/*.test.ts"],
          exclude: [...ALONE, ...WAITING],
          ...SIDE_BY_SIDE,
        },
      },
      {
        test: {
          ...NETNS,
          name: "netns-nfqueue",
          include: WITH_NFQUEUE,
          env: { L3SHIM_TEST_DATAPLANE: "nfqueue" },
          ...SIDE_BY_SIDE,
        },
      },
      {
        test: { ...NETNS, name: "netns-waiting", include: WAITING, ...SIDE_BY_SIDE },
      },
      {
        test: {
          ...NETNS,
          name: "netns-alone",
          include: ALONE,
          fileParallelism: false,
          maxWorkers: 1,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
