import { randomBytes } from "node:crypto";
import { CONTEXT_IDLE_TIMEOUT, MAX_CONTEXTS } from "../src/core/defaults.ts";
import { Endpoint } from "../src/core/endpoint.ts";
import type { Output } from "../src/core/output.ts";
import { SEND_TIMEOUT } from "../src/core/rfc5534.ts";
import { after, type Instant, instant, milliseconds } from "../src/core/time.ts";
import { TrafficRecord } from "../src/core/traffic.ts";
import { IDENTITY_PRIMITIVES, keyedHash } from "../src/daemon/crypto/primitives.ts";
import type { Address } from "../src/wire/address.ts";
import { cpuTime } from "./cpu-time.ts";
import type { Identity } from "./identities.ts";

/** Virtual: within the endpoints' budgets for answers and for signatures. */
const BETWEEN_HANDSHAKES = milliseconds(10);

type Message = Extract<Output, { readonly type: "send" }>;

/** An endpoint as the daemon has it, without a network, and the processor time that its calls took. */
class TimedHost {
  /** Microseconds. */
  spent = 0;
  readonly ulid: Address;
  readonly #endpoint = new Endpoint({
    security: "verified",
    sendTimeout: SEND_TIMEOUT,
    contextIdleTimeout: CONTEXT_IDLE_TIMEOUT,
    maxContexts: MAX_CONTEXTS,
    random: randomBytes,
    keyedHash,
    identity: IDENTITY_PRIMITIVES,
  });

  constructor(now: Instant, { locators }: Identity) {
    const [ulid] = locators;
    if (ulid === undefined) throw new Error("a host has an address");
    this.ulid = ulid.address;
    this.#endpoint.handleLocalLocators(now, locators);
  }

  get established(): number {
    return this.#endpoint.contexts().filter(({ state }) => state === "ESTABLISHED").length;
  }

  open(now: Instant, peer: Address): Message[] {
    return this.#run(now, (endpoint) => {
      endpoint.open(now, { local: this.ulid, peer });
    });
  }

  receive(now: Instant, { source, destination, bytes }: Message): Message[] {
    return this.#run(now, (endpoint) => endpoint.handleControl(now, source, destination, bytes));
  }

  #run(now: Instant, action: (endpoint: Endpoint) => void): Message[] {
    const start = cpuTime();
    action(this.#endpoint);
    const messages: Message[] = [];
    for (let output = this.#endpoint.poll(); output; output = this.#endpoint.poll()) {
      if (output.type === "send") messages.push(output);
      if (output.type !== "read-traffic") continue;
      this.#endpoint.handleTraffic(now, output.tag, new TrafficRecord().snapshot);
    }
    this.spent += cpuTime() - start;
    return messages;
  }
}

/**
 * One host establishes contexts with many that it has not met, and has its own proof ready, as a
 * server does.
 * @param others the first one makes the host ready and does not count
 * @returns microseconds of processor time that a handshake takes the host
 * @throws Error when one of them leads to no context
 */
export function timeHandshakes(
  role: "initiator" | "responder",
  identity: Identity,
  others: readonly Identity[],
): number {
  let now = instant(1_000_000);
  const host = new TimedHost(now, identity);
  for (const [i, other] of others.entries()) {
    if (i === 1) host.spent = 0;
    now = after(now, BETWEEN_HANDSHAKES);
    const peer = new TimedHost(now, other);
    if (role === "initiator") shakeHands(now, host, peer);
    else shakeHands(now, peer, host);
  }
  const { established, spent } = host;
  if (established !== others.length) throw new Error(`${established} contexts: not all`);
  return spent / (others.length - 1);
}

/** I1, R1, I2 and R2, each delivered at once. */
function shakeHands(now: Instant, initiator: TimedHost, responder: TimedHost): void {
  let messages = initiator.open(now, responder.ulid);
  for (let receiver = responder; messages.length > 0; ) {
    const at = receiver;
    messages = messages.flatMap((message) => at.receive(now, message));
    receiver = receiver === responder ? initiator : responder;
  }
}
