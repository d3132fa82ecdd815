import { randomInt } from "node:crypto";
import type { AddressPair } from "../../core/output.ts";
import { openEchoSocket } from "../../linux/echo-socket.ts";
import { RouteLookup } from "../../linux/route-lookup.ts";
import { SystemError } from "../../linux/system-error.ts";
import type { EchoSystem } from "./echoes.ts";

/** Linux, in the network namespace of the process. */
export const LINUX_ECHOES: EchoSystem = {
  open: openEchoSocket,
  mtu: findMtu,
  identifier: () => randomInt(0x1_0000),
};

function findMtu({ local, peer }: AddressPair): number | undefined {
  const lookup = new RouteLookup();
  try {
    return lookup.find(local, peer).mtu;
  } catch (error) {
    if (error instanceof SystemError) return undefined;
    throw error;
  } finally {
    lookup.close();
  }
}
