import { type Command, Option } from "commander";
import { ControlClient } from "../client/control-client.ts";
import type { ForkRequest, ForksReply, LocatorPairStatus } from "../daemon/api.ts";
import { parseLocatorPair, parseTagArgument, TAG_ARGUMENT } from "./arguments.ts";
import {
  addCommonOptions,
  CommandError,
  type CommonOptions,
  EXIT,
  print,
  printJson,
} from "./command.ts";
import {
  formatFlow,
  parseDscp,
  parseMark,
  parsePorts,
  parsePrefixArgument,
  parseProtocol,
} from "./flow.ts";
import { formatPair } from "./format.ts";

type ForkOptions = CommonOptions &
  ForkRequest["selector"] & { readonly locators?: LocatorPairStatus };

/** `fork`. */
export function registerForks(program: Command): void {
  const fork = program
    .command("fork")
    .summary("let some packets leave on a context of their own")
    .description(
      "Makes outbound packets that fit every option given leave on a forked context, over " +
        "locators of its own. Forks each context whose ULIDs lie in the prefixes; with a tag " +
        "only that one. A context that is a fork already carries these packets from then on.",
    )
    .argument("[tag]", TAG_ARGUMENT, parseTagArgument);
  for (const option of forkOptions()) fork.addOption(option);
  addCommonOptions(fork).action(runFork);
}

function forkOptions(): Option[] {
  return [
    new Option("--local-prefix <prefix>", "contexts whose ULID here lies in it").argParser(
      parsePrefixArgument,
    ),
    new Option("--peer-prefix <prefix>", "contexts whose peer's ULID lies in it").argParser(
      parsePrefixArgument,
    ),
    new Option("--protocol <protocol>", "tcp, udp, icmpv6, sctp … or a number").argParser(
      parseProtocol,
    ),
    new Option("--local-ports <n[-m]>", "port of this host, or range").argParser(parsePorts),
    new Option("--peer-ports <n[-m]>", "port of the peer, or range").argParser(parsePorts),
    new Option("--dscp <n>", "differentiated services code point").argParser(parseDscp),
    new Option("--mark <value[/mask]>", "packet mark, as SO_MARK sets it").argParser(parseMark),
    new Option("--locators <local,peer>", "the pair to use whenever it works").argParser(
      parseLocatorPair,
    ),
  ];
}

async function runFork(context: string | undefined, options: ForkOptions): Promise<void> {
  const { json, socket, locators, ...selector } = options;
  if (context === undefined && Object.keys(selector).length === 0) {
    throw new CommandError(
      "fork what? Name a context by its tag, or packets by options such as " +
        "--protocol udp --peer-ports 5004-5005",
      EXIT.usage,
    );
  }
  const reply = await new ControlClient(socket).fork({
    selector,
    ...(context === undefined ? {} : { context }),
    ...(locators === undefined ? {} : { locators }),
  });
  if (json) printJson(reply);
  else print(formatForks(reply, `${formatFlow(selector)}${locators ? over(locators) : ""}`));
}

function over(locators: LocatorPairStatus): string {
  return ` over ${formatPair(locators)}`;
}

function formatForks({ forks }: ForksReply, carried: string): string {
  return forks
    .map(({ context, fork }) =>
      fork === context
        ? `${fork} carries ${carried}`
        : `forked ${context}: ${fork} carries ${carried}`,
    )
    .join("\n");
}
