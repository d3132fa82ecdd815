import type { Command } from "commander";
import { ControlClient } from "../client/control-client.ts";
import type { MonitorEvent } from "../daemon/api.ts";
import {
  addCommonOptions,
  CommandError,
  type CommonOptions,
  EXIT,
  print,
  printJson,
} from "./command.ts";
import { formatClock, formatPair } from "./format.ts";

interface MonitorOptions extends CommonOptions {
  readonly messages: boolean;
}

/** `monitor`: what happens, as it happens. */
export function registerMonitor(program: Command): void {
  const command = program
    .command("monitor")
    .summary("print what happens, until interrupted")
    .description("Prints what happens to the contexts and locators, one event a line.")
    .option("--messages", "every control message sent and received too", false);
  addCommonOptions(command).action(async (options: MonitorOptions) => {
    const show = options.json ? printJson : (event: MonitorEvent) => print(formatEvent(event));
    const { messages, socket } = options;
    for await (const event of new ControlClient(socket).events({ messages })) show(event);
    throw new CommandError(`the daemon on ${socket} has stopped`, EXIT.noDaemon);
  });
}

/** "12:00:01.123  0000000000ab  switched  …", in local time. */
function formatEvent(event: MonitorEvent): string {
  const context = event.context ?? "-".padEnd(12);
  const details = formatDetails(event);
  return `${formatClock(new Date(event.time))}  ${context}  ${event.event}  ${details}`.trimEnd();
}

function formatDetails(event: MonitorEvent): string {
  switch (event.event) {
    case "established":
    case "restored":
      return (
        `${event.localUlid} > ${event.peerUlid}, peer's tag ${event.peerTag}` +
        (event.forkedInstance === 0 ? "" : ", a fork")
      );
    case "failed":
      return `${event.localUlid} > ${event.peerUlid}: ${event.cause}, until ${event.holdUntil}`;
    case "exploring":
    case "closed":
      return event.cause;
    case "inboundok":
      return "packets come in again; ours may not arrive yet";
    case "switched":
      return `${formatPair(event.from)} to ${formatPair(event.to)}, ${event.cause}`;
    case "recovered":
      return (
        `${formatPair(event)}, detection ${event.detection.toFixed(3)} s, ` +
        `exploration ${event.exploration.toFixed(3)} s, probes ${event.probesSent} sent, ` +
        `${event.probesReceived} received`
      );
    case "local-locators-changed":
    case "peer-locators-changed":
      return event.locators.join(" ");
    case "host-locators-changed":
      return event.locators
        .map(({ address, operational }) => (operational ? address : `${address} (down)`))
        .join(" ");
    case "uplink-changed":
      return `${event.interface} ${event.operational ? "works" : `does not work: ${event.problem}`}`;
    case "warning":
    case "warning-over":
    case "host-warning":
      return event.text;
    case "message":
      return (
        `${event.direction} ${event.type}, ${event.length} octets, ` +
        `${event.source} > ${event.destination}`
      );
  }
}
