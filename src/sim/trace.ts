import type { ContextEvent } from "../core/output.ts";
import type { ControlMessage } from "../wire/message.ts";
import { formatTag } from "../wire/tag.ts";
import type { Packet } from "./packet.ts";

/** A control message in a line of the trace. @param copies that will arrive */
export function describeControl(
  packet: Extract<Packet, { readonly type: "control" }>,
  copies: number,
): string {
  const fate = ["  lost", "", "  twice"][copies] ?? `  ${copies} times`;
  return `${nameOf(packet.message)} ${packet.source} > ${packet.destination}${fate}`;
}

function nameOf(message: ControlMessage): string {
  return message.type === "Probe" ? `Probe/${message.state}` : message.type;
}

/** A context's event in a line of the trace. */
export function describeEvent(event: ContextEvent): string {
  const head = `${event.event} ${formatTag(event.tag)}`;
  switch (event.event) {
    case "established":
    case "restored":
      return `${head} over ${event.locators.local} ${event.locators.peer}`;
    case "failed":
    case "exploring":
    case "closed":
      return `${head} ${event.cause}`;
    case "switched":
      return `${head} to ${event.to.local} ${event.to.peer} by ${event.cause}`;
    case "recovered":
      return `${head} after ${(event.exploration / 1000).toFixed(3)} s of exploration`;
    case "local-locators-changed":
    case "peer-locators-changed":
      return `${head} ${event.locators.join(" ")}`;
    case "inboundok":
      return head;
  }
}
