import { defineConfig } from "vitest/config";

/**
 * Two projects: `unit` runs anywhere in virtual time; `netns` runs real daemons on real packets
 * between network namespaces, needs root, and runs one file at a time because the files share
 * the machine's two cores and its clock.
 */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: ["test/netns/**"],
          testTimeout: 60_000,
        },
      },
      {
        test: {
          name: "netns",
          include: ["test/netns/**/*.test.ts"],
          globalSetup: ["test/netns/require-root.ts"],
          fileParallelism: false,
          maxWorkers: 1,
          testTimeout: 120_000,
          hookTimeout: 120_000,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
