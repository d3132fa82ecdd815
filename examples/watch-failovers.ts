/**
 * Says how long each session stood still, and where it went on, until it is interrupted.
 *
 *     node watch-failovers.ts [SOCKET]
 */
import { ControlClient } from "l3shim";

const interrupted = new AbortController();
process.once("SIGINT", () => interrupted.abort());

const events = new ControlClient(process.argv[2]).events({
  signal: interrupted.signal,
  // The daemon may be upgraded meanwhile.
  reconnectAfter: 1000,
  onConnect: () => console.log("watching"),
});
for await (const event of events) {
  if (event.event !== "recovered") continue;
  const { localUlid, peerUlid, localLocator, peerLocator, detection, exploration } = event;
  const seconds = (detection + exploration).toFixed(1);
  console.log(
    `${localUlid} > ${peerUlid} stood still for ${seconds} s, ` +
      `goes on over ${localLocator} > ${peerLocator}`,
  );
}
