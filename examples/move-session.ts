/**
 * Moves the sessions with a peer to one of this host's uplinks, as before a cable is changed.
 *
 *     node move-session.ts PEER-ADDRESS INTERFACE [SOCKET]
 */
import { ControlClient, ControlError } from "l3shim";

const [peer, uplink, socket] = process.argv.slice(2);
if (peer === undefined || uplink === undefined) {
  console.error("usage: node move-session.ts PEER-ADDRESS INTERFACE [SOCKET]");
  process.exit(2);
}
const client = new ControlClient(socket);

try {
  const localLocator = await addressOn(uplink);
  const { contexts } = await client.contexts();
  for (const { localTag, peerLocator } of contexts.filter(({ peerUlid }) => peerUlid === peer)) {
    // It moves once the pair has answered a probe, and stays there as long as the pair works.
    await client.pin(localTag, { localLocator, peerLocator });
    console.log(`context ${localTag} goes to ${localLocator} > ${peerLocator}`);
  }
} catch (error) {
  if (!(error instanceof ControlError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}

async function addressOn(name: string): Promise<string> {
  const { locators } = await client.locators();
  const usable = locators.find((locator) => locator.interface === name && locator.operational);
  if (usable !== undefined) return usable.address;
  throw new ControlError("not-found", `no locator of this host works on ${name}`);
}
