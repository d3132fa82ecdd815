import { describe, expect, test } from "vitest";
import { DataPlaneError } from "../../../src/dataplane/dataplane.ts";
import { CommandFailure, runCommand } from "../../../src/dataplane/nfqueue/command.ts";
import { installRules, type RuleSettings } from "../../../src/dataplane/nfqueue/rules.ts";
import { removalScript } from "../../../src/dataplane/nfqueue/rules-ip6tables.ts";
import { LOCATORS, ULIDS } from "./support/fakes.ts";

const SETTINGS: RuleSettings = {
  group: 14_000,
  queue: 14_000,
  inboundHook: "prerouting",
  withholdErrors: true,
};

interface Run {
  readonly command: string;
  readonly input: string;
}

/** Runs nothing; `refuses` says which command fails, and how. */
class FakeCommands {
  readonly runs: Run[] = [];
  readonly #refuses: (run: Run) => "missing" | "failed" | undefined;
  saved = "";

  constructor(refuses: (run: Run) => "missing" | "failed" | undefined = () => undefined) {
    this.#refuses = refuses;
  }

  readonly run = ([command = ""]: readonly string[], input: string): Promise<string> => {
    const refusal = this.#refuses({ command, input });
    if (refusal !== undefined) {
      const failure = new CommandFailure(`${command} ${refusal}`, refusal === "missing");
      return Promise.reject(failure);
    }
    this.runs.push({ command, input });
    return Promise.resolve(command.endsWith("-save") ? this.saved : "");
  };

  /** What was set, by the command that did it. */
  get changes(): Run[] {
    return this.runs.filter(
      ({ command, input }) => !command.endsWith("-save") && !/^add table.*\ndelete/.test(input),
    );
  }
}

function isQueueRule({ command, input }: Run): boolean {
  return command === "nft" && input.includes("queue num");
}

describe("the choice of the command", () => {
  test("nft sets everything where it can", async () => {
    const commands = new FakeCommands();
    await installRules("auto", SETTINGS, commands.run);
    expect(commands.changes.map(({ command }) => command)).toEqual(["nft", "nft"]);
  });

  test("ip6tables queues where nft cannot, and nft still observes", async () => {
    const commands = new FakeCommands((run) => (isQueueRule(run) ? "failed" : undefined));
    await installRules("auto", SETTINGS, commands.run);
    expect(commands.changes.map(({ command }) => command)).toEqual(["ip6tables-restore", "nft"]);
  });

  test("without nft ip6tables does all", async () => {
    const commands = new FakeCommands(({ command }) => (command === "nft" ? "missing" : undefined));
    await installRules("auto", SETTINGS, commands.run);
    const expected = ["ip6tables-restore", "ip6tables-restore"];
    expect(commands.changes.map(({ command }) => command)).toEqual(expected);
  });

  test("a variant of ip6tables that fails is left as it was, and the next one is tried", async () => {
    const commands = new FakeCommands((run) =>
      isQueueRule(run) || run.command === "ip6tables-restore" ? "failed" : undefined,
    );
    await installRules("auto", SETTINGS, commands.run);
    expect(commands.changes.map(({ command }) => command)).toEqual([
      "ip6tables-nft-restore",
      "nft",
    ]);
  });

  test("a configured command is the only one that sets rules", async () => {
    const commands = new FakeCommands();
    await installRules("ip6tables", SETTINGS, commands.run);
    expect(commands.changes.map(({ command }) => command)).toEqual([
      "ip6tables-restore",
      "ip6tables-restore",
    ]);
  });

  test("where none can, the error names each command, what it said and the remedy", async () => {
    const commands = new FakeCommands(({ command }) =>
      command.startsWith("ip6tables") ? "missing" : "failed",
    );
    const error = await installRules("auto", SETTINGS, commands.run).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(DataPlaneError);
    const { message, remedy } = error as DataPlaneError;
    expect(message).toContain("nft: nft failed; ip6tables: ip6tables-restore missing");
    expect(remedy).toContain("CONFIG_NFT_QUEUE");
    expect(commands.changes).toEqual([]);
  });

  test("where none can observe, the rules that queue are taken back", async () => {
    const commands = new FakeCommands(({ input }) =>
      /log group|NFLOG/.test(input) ? "failed" : undefined,
    );
    await expect(installRules("auto", SETTINGS, commands.run)).rejects.toThrow("log packets");
    expect(commands.runs.at(-1)).toMatchObject({ command: "nft", input: /^add table.*\ndelete/ });
  });
});

describe("the rules of ip6tables", () => {
  /** The inputs of each run that changed something. */
  async function inputs(settings: RuleSettings = SETTINGS): Promise<{
    commands: FakeCommands;
    installed: Awaited<ReturnType<typeof installRules>>;
  }> {
    const commands = new FakeCommands();
    return { commands, installed: await installRules("ip6tables", settings, commands.run) };
  }

  test("a rule for each mapped pair, and an entry as long as there are some", async () => {
    const { commands, installed } = await inputs();
    await installed.changeMapped([ULIDS], []);
    await installed.changeMapped([LOCATORS], []);
    await installed.changeMapped([], [ULIDS]);
    await installed.changeMapped([], [LOCATORS]);
    const rule = (pair: typeof ULIDS): string =>
      `l3shim-mapped -s ${pair.local} -d ${pair.peer} -g l3shim-rewrite`;
    const entry = "OUTPUT -j l3shim-mapped";
    expect(commands.changes.slice(2).map(({ input }) => input.split("\n").slice(1, -2))).toEqual([
      [`-A ${rule(ULIDS)}`, `-I ${entry}`],
      [`-A ${rule(LOCATORS)}`],
      [`-D ${rule(ULIDS)}`],
      [`-D ${rule(LOCATORS)}`, `-D ${entry}`],
    ]);
  });

  test("inbound payload is taken before connection tracking, or at LOCAL_IN when so set", async () => {
    const tableOf = (input: string): string | undefined =>
      input
        .split("COMMIT")
        .find((part) => part.includes(":l3shim-payload"))
        ?.trim()
        .split("\n")[0];
    const { commands } = await inputs();
    expect(tableOf(commands.changes[0]?.input ?? "")).toBe("*raw");
    const { commands: paper } = await inputs({ ...SETTINGS, inboundHook: "input" });
    expect(tableOf(paper.changes[0]?.input ?? "")).toBe("*mangle");
  });

  test("those of a drill go with it, and no others", async () => {
    const { commands, installed } = await inputs();
    const uplink = { interface: "isp1", link: 2 };
    await installed.installDrill({ queue: 14_000, uplink, pairs: [ULIDS] });
    const set = commands.changes.at(-1)?.input;
    expect(set).toContain(`-A l3shim-drill -s ${ULIDS.local} -d ${ULIDS.peer} -j NFQUEUE`);
    expect(set).toContain(`-A l3shim-drill -s ${ULIDS.peer} -d ${ULIDS.local} -j NFQUEUE`);
    commands.saved = [
      "*mangle",
      ":l3shim-rewrite - [0:0]",
      ":l3shim-drill - [0:0]",
      "-A OUTPUT -j l3shim-mapped",
      "-A POSTROUTING -o isp1 -j l3shim-drill",
      "COMMIT",
    ].join("\n");
    await installed.removeDrill();
    expect(commands.changes.at(-1)?.input.split("\n").slice(0, -1)).toEqual([
      "*mangle",
      "-D POSTROUTING -o isp1 -j l3shim-drill",
      "-F l3shim-drill",
      "-X l3shim-drill",
      "COMMIT",
    ]);
  });

  test("every queue rule lets packets pass when nobody listens", async () => {
    const { commands, installed } = await inputs();
    const uplink = { interface: "isp1", link: 2 };
    await installed.installDrill({ queue: 14_000, uplink, pairs: [ULIDS] });
    const rules = commands.changes.flatMap(({ input }) => input.split("\n"));
    const queueing = rules.filter((rule) => rule.includes("NFQUEUE"));
    expect(queueing.length).toBeGreaterThan(0);
    expect(queueing.every((rule) => rule.endsWith("--queue-num 14000 --queue-bypass"))).toBe(true);
  });
});

describe.each(["nft", "ip6tables"] as const)("the rules of %s for Shim6 in UDP", (command) => {
  async function scripts(udpPort?: number): Promise<string> {
    const commands = new FakeCommands();
    await installRules(command, { ...SETTINGS, udpPort }, commands.run);
    return commands.changes.map(({ input }) => input).join("");
  }

  test("are there with a port only", async () => {
    expect(await scripts()).not.toContain("udp sport");
    expect(await scripts()).not.toContain("-p udp");
  });

  test("name it in what is queued, what errors quote, and what is no payload", async () => {
    const script = await scripts(61_140);
    // Observing is a chain for each direction in nft, and one for both in ip6tables.
    const places = command === "nft" ? 4 : 3;
    expect(script.match(/sport 61140 (udp |--)dport 61140/g)).toHaveLength(places);
    // Both ports as one number.
    expect(script).toContain(command === "nft" ? "4006932180" : "0xeed4eed4");
  });
});

describe("the removal of leftovers", () => {
  const saved = `# Generated by ip6tables-save
*mangle
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [5:600]
:l3shim-mapped - [0:0]
:l3shim-rewrite - [0:0]
:theirs - [0:0]
-A OUTPUT -j l3shim-mapped
-A OUTPUT -m comment --comment "like -j l3shim-mapped" -j theirs
-A OUTPUT -j theirs
-A l3shim-mapped -s 2001:db8::1/128 -g l3shim-rewrite
COMMIT
*filter
:INPUT ACCEPT [0:0]
-A INPUT -p tcp -j ACCEPT
COMMIT
`;

  test("our chains and the rules that lead to them go, and nothing else", () => {
    expect(removalScript(saved)).toEqual([
      "*mangle",
      "-D OUTPUT -j l3shim-mapped",
      "-F l3shim-mapped",
      "-F l3shim-rewrite",
      "-X l3shim-mapped",
      "-X l3shim-rewrite",
      "COMMIT",
    ]);
  });

  test("without leftovers there is nothing to run", () => {
    expect(removalScript(saved.replace(/^.*l3shim.*\n/gm, ""))).toEqual([]);
  });

  test("every command is asked for leftovers, whichever is configured", async () => {
    const commands = new FakeCommands();
    commands.saved = saved;
    await installRules("nft", SETTINGS, commands.run);
    const removed = commands.changes.filter(({ input }) => input.includes("-X l3shim-mapped"));
    expect(removed.map(({ command }) => command)).toEqual([
      "ip6tables-restore",
      "ip6tables-nft-restore",
      "ip6tables-legacy-restore",
    ]);
  });
});

describe("running a command", () => {
  test("gives it its input and returns what it writes", async () => {
    expect(await runCommand(["cat"], "hello")).toBe("hello");
  });

  test("a failure says what was run and what it said", async () => {
    const argv = ["sh", "-c", "echo broken >&2; exit 3"];
    const failure = 'sh -c echo broken >&2; exit 3" failed with code 3, saying: broken';
    await expect(runCommand(argv, "")).rejects.toThrow(failure);
  });

  test("a command that is not there is named as not installed", async () => {
    const failure = await runCommand(["l3shim-no-such-command"], "").catch((e: unknown) => e);
    expect(failure).toBeInstanceOf(CommandFailure);
    expect((failure as CommandFailure).notInstalled).toBe(true);
  });
});
