import type { Command } from "commander";
import { ControlClient } from "../client/control-client.ts";
import type { HostLocator } from "../daemon/api.ts";
import { addCommonOptions, type CommonOptions, print, printJson } from "./command.ts";
import { formatState, formatTable } from "./format.ts";

/** `locators`: the paper's table 2. */
export function registerLocators(program: Command): void {
  const command = program
    .command("locators")
    .summary("list this host's locators")
    .description("Lists the addresses that this host can be reached at, in all contexts.");
  addCommonOptions(command).action(async (options: CommonOptions) => {
    const reply = await new ControlClient(options.socket).locators();
    if (options.json) printJson(reply);
    else print(formatLocators(reply.locators));
  });
}

function formatLocators(locators: readonly HostLocator[]): string {
  if (locators.length === 0) {
    return "No locators: no interface with an IPv6 default route has a global address.";
  }
  return formatTable(
    ["LOCATOR", "UPLINK", "GATEWAY", "PREF", "WEIGHT", "PROOF", "ULID OF", "USED BY", "STATE"],
    locators.map((locator) => [
      locator.address,
      locator.interface ?? "-",
      locator.gateway ?? "-",
      locator.preference,
      locator.weight,
      locator.proof?.toUpperCase() ?? "-",
      locator.ulidOf,
      locator.locatorOf,
      formatState(locator.operational ? "up" : (locator.problem ?? "down"), locator),
    ]),
  );
}
