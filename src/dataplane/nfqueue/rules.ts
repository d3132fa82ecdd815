import type { AddressPair } from "../../core/output.ts";
import { DataPlaneError, type DrilledUplink } from "../dataplane.ts";
import { CommandFailure, type RunCommand } from "./command.ts";
import { Ip6tablesRules } from "./rules-ip6tables.ts";
import { NftRules } from "./rules-nft.ts";

export type RuleCommandName = "nft" | "ip6tables";

export interface RewriteSettings {
  /** Number of the queue. */
  readonly queue: number;
  /**
   * Where inbound packets with the payload extension header are taken. At PREROUTING, before
   * connection tracking, which so sees ULIDs in both directions; "input" is the paper's
   * LOCAL_IN, which a stateful firewall does not survive.
   */
  readonly inboundHook: "prerouting" | "input";
  /** ICMPv6 errors that the shim acts on go to the queue too, about whatever packets they are. */
  readonly withholdErrors: boolean;
  /** Of Shim6 in UDP, at both ends; without it UDP is payload and nothing else. */
  readonly udpPort?: number | undefined;
}

export interface DrillSettings {
  readonly queue: number;
  readonly uplink: DrilledUplink;
  /** The ULID pairs of contexts. */
  readonly pairs: readonly AddressPair[];
  readonly udpPort?: number | undefined;
}

/**
 * A command that sets netfilter rules. All of ours are so by name, so that they can be told
 * from others' and removed after a crash. Every method rejects with CommandFailure.
 */
export interface RuleCommand {
  readonly name: string;
  /** The log group hears of the packets that pass unchanged. */
  installObserving(group: number, udpPort?: number): Promise<void>;
  /** Inbound packets to be rewritten go to the queue; outbound ones of no pair yet. */
  installRewriting(settings: RewriteSettings): Promise<void>;
  /** Outbound packets of these ULID pairs go to the queue, of those no more. */
  changeMapped(added: readonly AddressPair[], removed: readonly AddressPair[]): Promise<void>;
  /**
   * What is to get lost on the uplink goes to the queue: inbound ahead of all other rules, outbound
   * behind them.
   */
  installDrill(settings: DrillSettings): Promise<void>;
  removeDrill(): Promise<void>;
  /** Removes every rule of ours, from whatever run. Without any there is nothing to do. */
  remove(): Promise<void>;
}

export interface RuleSettings extends RewriteSettings {
  /** Number of the log group. */
  readonly group: number;
}

/** The rules of a plane; two commands may have set them. */
export class InstalledRules {
  readonly #observing: RuleCommand;
  readonly #rewriting: RuleCommand;

  constructor(observing: RuleCommand, rewriting: RuleCommand) {
    this.#observing = observing;
    this.#rewriting = rewriting;
  }

  /** See {@link RuleCommand.changeMapped}. */
  changeMapped(added: readonly AddressPair[], removed: readonly AddressPair[]): Promise<void> {
    return this.#rewriting.changeMapped(added, removed);
  }

  /** See {@link RuleCommand.installDrill}. */
  installDrill(settings: DrillSettings): Promise<void> {
    return this.#rewriting.installDrill(settings);
  }

  removeDrill(): Promise<void> {
    return this.#rewriting.removeDrill();
  }

  async remove(): Promise<void> {
    await this.#rewriting.remove();
    if (this.#observing !== this.#rewriting) await this.#observing.remove();
  }
}

/** "ip6tables" is one of the two others; which one, the system's administrator has chosen. */
const IP6TABLES_COMMANDS = ["ip6tables", "ip6tables-nft", "ip6tables-legacy"];

function createCommands(choice: "auto" | RuleCommandName, run: RunCommand): RuleCommand[] {
  const nft = choice === "ip6tables" ? [] : [new NftRules(run)];
  const ip6tables = choice === "nft" ? [] : IP6TABLES_COMMANDS;
  return [...nft, ...ip6tables.map((command) => new Ip6tablesRules(command, run))];
}

/**
 * Removes what an earlier run left behind, whichever command it used, and sets the rules, each
 * part with the first command that can: kernels exist without nft's queue statement, and
 * systems without one of the commands.
 * @throws DataPlaneError when none can.
 */
export async function installRules(
  choice: "auto" | RuleCommandName,
  settings: RuleSettings,
  run: RunCommand,
): Promise<InstalledRules> {
  await removeRules(run);
  const commands = createCommands(choice, run);
  const rewriting = await firstThatCan("queue packets", commands, async (command) => {
    try {
      await command.installRewriting(settings);
    } catch (error) {
      // One of its tables may have been changed.
      await removeIfPresent(command);
      throw error;
    }
  });
  try {
    const observing = await firstThatCan("log packets", commands, (command) =>
      command.installObserving(settings.group, settings.udpPort),
    );
    return new InstalledRules(observing, rewriting);
  } catch (error) {
    await removeIfPresent(rewriting);
    throw error;
  }
}

/** Removes every rule of ours, whichever command set it. */
export async function removeRules(run: RunCommand): Promise<void> {
  for (const command of createCommands("auto", run)) await removeIfPresent(command);
}

async function firstThatCan(
  what: string,
  commands: readonly RuleCommand[],
  install: (command: RuleCommand) => Promise<void>,
): Promise<RuleCommand> {
  const failures: string[] = [];
  for (const command of commands) {
    try {
      await install(command);
      return command;
    } catch (error) {
      if (!(error instanceof CommandFailure)) throw error;
      failures.push(`${command.name}: ${error.message}`);
    }
  }
  throw new DataPlaneError(
    `no command can set the rules that ${what} for the shim: ${failures.join("; ")}`,
    "Install iptables or nftables, and use a kernel with NFQUEUE and NFLOG: either nf_tables with " +
      "CONFIG_NFT_QUEUE and CONFIG_NFT_LOG, or CONFIG_NETFILTER_XT_TARGET_NFQUEUE, _NFLOG and " +
      "CONFIG_NETFILTER_XT_MATCH_U32. In a container, load the modules outside.",
  );
}

/** A command that is missing, or that cannot even list its rules here, has none of ours. */
async function removeIfPresent(command: RuleCommand): Promise<void> {
  try {
    await command.remove();
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error;
  }
}
