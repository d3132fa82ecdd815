import type { Command } from "commander";
import { ControlClient } from "../client/control-client.ts";
import { wholeNumber } from "./arguments.ts";
import { addCommonOptions, type CommonOptions, print, printJson } from "./command.ts";
import { formatWarnings } from "./format.ts";

/** `send-timeout SECONDS`. */
export function registerSendTimeout(program: Command): void {
  const command = program
    .command("send-timeout")
    .summary("change the Send Timeout until the daemon stops")
    .description(
      "Changes how long packets may stay unanswered before a path counts as broken, for all " +
        "contexts, until the daemon stops. Peers are told.",
    )
    .argument("<seconds>", "1 to 100; RFC 5534 recommends 10 at least", wholeNumber(1, 100));
  addCommonOptions(command).action(async (sendTimeout: number, options: CommonOptions) => {
    const reply = await new ControlClient(options.socket).setSendTimeout({ sendTimeout });
    if (options.json) return printJson(reply);
    print(`the send timeout is ${reply.sendTimeout} s`);
    if (reply.warnings.length > 0) print(formatWarnings(reply.warnings));
  });
}
