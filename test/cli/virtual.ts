import type { Address } from "../../src/wire/address.ts";
import type { TestDaemon } from "../daemon/fixture.ts";
import { l3shim, type Run } from "./capture.ts";

/** Runs a command line while virtual time goes on. */
export async function run({ clock, socket }: TestDaemon, ...args: string[]): Promise<Run> {
  let isOver = false;
  const command = l3shim(...args, "--socket", socket).finally(() => {
    isOver = true;
  });
  while (!isOver) {
    clock.advance(5);
    await new Promise(setImmediate);
  }
  return await command;
}

/** Takes what `loses` names from the control messages of both. */
export function disturb(
  hosts: readonly TestDaemon[],
  loses: (from: Address, to: Address) => boolean,
) {
  for (const { plane } of hosts) {
    const send = plane.sendControl.bind(plane);
    plane.sendControl = (source, destination, bytes) => {
      if (!loses(source, destination)) send(source, destination, bytes);
    };
  }
}
