import { A2, B1, B2, type TestDaemon } from "../daemon/fixture.ts";

/** A daemon with one ESTABLISHED context on A1 and B1. */
export interface World {
  readonly a: TestDaemon;
  readonly tag: string;
}

export interface CommandSample {
  /** The command's words. */
  readonly name: string;
  /** What follows them, without --json and --socket. */
  readonly rest: (world: World) => readonly string[];
  /** "takes time": the daemon answers only as its time goes on. */
  readonly daemon: "asked" | "takes time" | "none";
}

function asking(name: string, rest: CommandSample["rest"] = () => []): CommandSample {
  return { name, rest, daemon: "asked" };
}

function simulating(name: string, ...rest: string[]): CommandSample {
  return { name, rest: () => rest, daemon: "none" };
}

/** Command lines whose text and JSON tests look at. Each begins in the same world. */
export const COMMAND_SAMPLES: readonly CommandSample[] = [
  asking("status"),
  asking("explain", () => [B1]),
  asking("contexts"),
  asking("context", ({ tag }) => [tag]),
  asking("locators"),
  asking("check"),
  { name: "ping", rest: () => [B1, "--count", "1"], daemon: "takes time" },
  asking("open", () => [A2, B1]),
  asking("explore", ({ tag }) => [tag]),
  asking("fork", ({ tag }) => [tag, "--dscp", "46"]),
  asking("prefer", ({ tag }) => [tag, "--local", A2, "--peer", B2]),
  asking("pin", ({ tag }) => [tag]),
  asking("close", ({ tag }) => [tag]),
  asking("send-timeout", () => ["20"]),
  simulating("sim list"),
  simulating("sim run", "--duration", "20"),
  simulating("sim sweep", "--seeds", "1"),
  simulating("sim alarms", "--seeds", "1"),
  simulating("sim soak", "--hosts", "4", "--hours", "1", "--threads", "1"),
];

/** What is looked at by a test of its own, which has what it needs. */
export const SAMPLED_ELSEWHERE: Readonly<Record<string, string>> = {
  "cga generate": "test/cli/identity.test.ts",
  "cga sign": "test/cli/identity.test.ts",
  "cga verify": "test/cli/identity.test.ts",
  "cga verify-signature": "test/cli/identity.test.ts",
  capture: "test/cli/capture.test.ts",
  completion: "test/cli/completion.test.ts",
  daemon: "test/cli/program.test.ts",
  decode: "test/cli/decode.test.ts",
  drill: "test/cli/drill.test.ts",
  "hba generate": "test/cli/identity.test.ts",
  "hba verify": "test/cli/identity.test.ts",
  "lab clean": "test/netns/lab-leftovers.test.ts",
  "lab home": "test/cli/lab.test.ts",
  "lab paper": "test/cli/lab.test.ts",
  "lab shell": "test/netns/lab-rootless.test.ts",
  monitor: "test/cli/program.test.ts",
  replay: "test/cli/replay.test.ts",
  report: "test/cli/report.test.ts",
  unpin: "test/cli/forks.test.ts",
};
