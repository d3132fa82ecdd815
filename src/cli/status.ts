import type { Command } from "commander";
import { ControlClient } from "../client/control-client.ts";
import type { StatusReply, UplinkStatus } from "../daemon/api.ts";
import { addCommonOptions, type CommonOptions, print, printJson } from "./command.ts";
import { formatFields, formatSpan, formatTable, formatWarnings } from "./format.ts";

/** `l3shim status`, which `l3shim` alone means too. */
export function registerStatus(program: Command): void {
  const command = program
    .command("status", { isDefault: true })
    .summary("what the daemon does (the default command)")
    .description("Shows the daemon, its uplinks, its contexts by state, and what needs attention.")
    .allowExcessArguments();
  addCommonOptions(command).action(async (options: CommonOptions) => {
    // As the default command it also gets what the user meant as a command of another name.
    const [unknown] = command.args;
    if (unknown !== undefined) program.error(`error: unknown command or argument '${unknown}'`);
    const reply = await new ControlClient(options.socket).status();
    if (options.json) printJson(reply);
    else print(formatStatus(reply));
  });
}

function formatStatus(status: StatusReply): string {
  const fields = formatFields([
    ["daemon", `l3shim ${status.version}, pid ${status.pid}, up ${formatSpan(status.uptime)}`],
    ["data plane", status.dataplane],
    ["security", status.security],
    ["send timeout", formatSpan(status.sendTimeout)],
    ["contexts", formatCounts(status)],
  ]);
  const sections = [fields, formatUplinks(status.uplinks)];
  if (status.warnings.length > 0) sections.push(formatWarnings(status.warnings));
  return sections.join("\n\n");
}

function formatCounts({ contexts }: StatusReply): string {
  const counts = Object.entries({ ...contexts.byState, ...contexts.byReapState });
  if (counts.length === 0) return "none";
  return `${contexts.total} (${counts.map(([state, n]) => `${n} ${state}`).join(", ")})`;
}

function formatUplinkState({ operational, problem, role }: UplinkStatus): string {
  const state = operational ? "up" : (problem ?? "down");
  return role === "ordinary" ? state : `${state}, ${role}`;
}

function formatUplinks(uplinks: readonly UplinkStatus[]): string {
  if (uplinks.length === 0) return "No uplinks: no interface has an IPv6 default route.";
  return formatTable(
    ["UPLINK", "STATE", "GATEWAY", "PREF", "LOCATORS"],
    uplinks.map((uplink) => [
      uplink.interface,
      formatUplinkState(uplink),
      uplink.gateway ?? "-",
      uplink.preference,
      uplink.locators.join(" ") || "-",
    ]),
  );
}
