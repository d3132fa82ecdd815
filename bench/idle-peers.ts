/**
 * Peers of a host that are there for its contexts only: an endpoint for each address that a
 * control message comes for, until standard input ends. Prints "ready" when it listens.
 */
import { randomBytes } from "node:crypto";
import { CONTEXT_IDLE_TIMEOUT, MAX_CONTEXTS } from "../src/core/defaults.ts";
import { Endpoint } from "../src/core/endpoint.ts";
import { SEND_TIMEOUT } from "../src/core/rfc5534.ts";
import { TrafficRecord } from "../src/core/traffic.ts";
import { keyedHash } from "../src/daemon/crypto/primitives.ts";
import { monotonicNow } from "../src/linux/clock.ts";
import { openShim6Socket } from "../src/linux/shim6-socket.ts";
import type { Address } from "../src/wire/address.ts";

const peers = new Map<Address, Endpoint>();

const socket = openShim6Socket(
  ({ source, destination, bytes }) => {
    const peer = peerAt(destination);
    peer.handleControl(monotonicNow(), source, destination, bytes);
    drain(peer);
  },
  (error) => {
    throw error;
  },
);
process.stdin.resume().on("end", () => socket.close());
process.stdout.write("ready\n");

function peerAt(address: Address): Endpoint {
  const known = peers.get(address);
  if (known !== undefined) return known;
  const peer = new Endpoint({
    security: "unverified",
    sendTimeout: SEND_TIMEOUT,
    contextIdleTimeout: CONTEXT_IDLE_TIMEOUT,
    maxContexts: MAX_CONTEXTS,
    random: randomBytes,
    keyedHash,
  });
  peers.set(address, peer);
  peer.handleLocalLocators(monotonicNow(), [{ address, preference: 0, operational: true }]);
  drain(peer);
  return peer;
}

/** Answers only: what a timer would send is not needed by a host that hears every answer. */
function drain(peer: Endpoint): void {
  for (let output = peer.poll(); output; output = peer.poll()) {
    if (output.type === "send") socket.send(output);
    if (output.type !== "read-traffic") continue;
    peer.handleTraffic(monotonicNow(), output.tag, new TrafficRecord().snapshot);
  }
}
