import { type Command, Option } from "commander";
import { ControlClient } from "../client/control-client.ts";
import type { LocatorPairStatus } from "../daemon/api.ts";
import { parseAddressArgument, parseTagArgument, TAG_ARGUMENT } from "./arguments.ts";
import {
  addCommonOptions,
  CommandError,
  type CommonOptions,
  EXIT,
  print,
  printJson,
} from "./command.ts";
import { formatPair } from "./format.ts";

interface PairOptions extends CommonOptions {
  readonly local?: string;
  readonly peer?: string;
}

interface PinOptions extends PairOptions {
  readonly strict: boolean;
}

/** `prefer TAG`, `pin TAG`, `unpin TAG`: which locator pair a context uses. */
export function registerPairs(program: Command): void {
  const prefer = program
    .command("prefer")
    .summary("use a locator pair of a context whenever it works")
    .description(
      "Makes a context use this locator pair whenever it works; without a pair, whichever works.",
    );
  addPairOptions(prefer).action(runPrefer);

  const pin = program
    .command("pin")
    .summary("keep a context on a locator pair")
    .description(
      "Keeps a context on this locator pair, or on its current one, until it is unpinned: no better " +
        "pair takes it away, and the pair's own failure only until it works again.",
    )
    .option("--strict", "stay there also while the pair is dead", false);
  addPairOptions(pin).action(runPin);

  const unpin = program
    .command("unpin")
    .summary("end what `l3shim pin` began")
    .argument("<tag>", TAG_ARGUMENT, parseTagArgument);
  addCommonOptions(unpin).action(async (tag: string, { json, socket }: CommonOptions) => {
    const reply = await new ControlClient(socket).unpin(tag);
    if (json) printJson(reply);
    else print("unpinned");
  });
}

function addPairOptions(command: Command): Command {
  command
    .argument("<tag>", TAG_ARGUMENT, parseTagArgument)
    .addOption(
      new Option("--local <address>", "the pair's local locator").argParser(parseAddressArgument),
    )
    .addOption(
      new Option("--peer <address>", "the pair's peer locator").argParser(parseAddressArgument),
    );
  return addCommonOptions(command);
}

async function runPrefer(tag: string, options: PairOptions): Promise<void> {
  const pair = pairOf(options);
  const reply = await new ControlClient(options.socket).prefer(tag, pair ?? {});
  if (options.json) printJson(reply);
  else print(pair === undefined ? "no pair is preferred" : `${formatPair(pair)} is preferred`);
}

async function runPin(tag: string, options: PinOptions): Promise<void> {
  const pair = pairOf(options);
  const { json, socket, strict } = options;
  const reply = await new ControlClient(socket).pin(tag, { ...pair, strict });
  if (json) printJson(reply);
  else print(`pinned to ${pair === undefined ? "its current pair" : formatPair(pair)}`);
}

function pairOf({ local, peer }: PairOptions): LocatorPairStatus | undefined {
  if (local === undefined && peer === undefined) return undefined;
  if (local !== undefined && peer !== undefined) return { localLocator: local, peerLocator: peer };
  throw new CommandError("--local and --peer name a pair together", EXIT.usage);
}
