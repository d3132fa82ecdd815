import { type AddressPair, samePair } from "../../src/core/output.ts";
import { after, type Duration, minutes, seconds } from "../../src/core/time.ts";
import type { ContextView } from "../../src/core/view.ts";
import { type Address, parseAddress } from "../../src/wire/address.ts";
import { type Defect, ModelHost, type Packet } from "./host.ts";

export type Side = "A" | "B";

/** How often each thing may still go wrong or be asked for. */
export interface Budget {
  readonly losses: number;
  readonly duplicates: number;
  readonly crashes: number;
  readonly opens: number;
  readonly payloads: number;
  readonly timers: number;
  /** A host's second locator goes down, or comes up again. */
  readonly moves: number;
  /** Other one-way paths work from now on. */
  readonly reroutes: number;
}

export const LOCATORS = {
  A: ["2001:db8:a1::1", "2001:db8:a2::1"].map(address),
  B: ["2001:db8:b1::1", "2001:db8:b2::1"].map(address),
};

/** A's view of the ULID pairs. */
export const ULIDS: readonly AddressPair[] = LOCATORS.A.map((local, i) => ({
  local,
  peer: LOCATORS.B[i] ?? local,
}));

/** More than every hold-down and a whole round of retransmissions. */
const PATIENCE = seconds(400);
const PAYLOAD_INTERVAL = seconds(5);
/** The longest that a context may outlive its traffic, and what was under way at its end. */
const SILENCE = minutes(30);
/** Messages that may answer each other without any timer in between. */
const CHAIN_MAX = 200;

/** Two endpoints and what is under way between them. */
export class TwoHosts {
  readonly #hosts: Record<Side, ModelHost>;
  readonly #defect: Defect | undefined;
  flights: Packet[] = [];
  budget: Budget;
  /** The one-way paths that lose everything: {@link pathKey}. */
  deadPaths: ReadonlySet<string> = new Set();

  constructor(budget: Budget, defect?: Defect) {
    this.budget = budget;
    this.#defect = defect;
    this.#hosts = {
      A: new ModelHost("A", 0, LOCATORS.A, defect),
      B: new ModelHost("B", 0, LOCATORS.B, defect),
    };
  }

  get hosts(): readonly ModelHost[] {
    return [this.#hosts.A, this.#hosts.B];
  }

  host(side: Side): ModelHost {
    return this.#hosts[side];
  }

  spend(what: keyof Budget): void {
    this.budget = { ...this.budget, [what]: this.budget[what] - 1 };
  }

  /** Runs something at a host, and takes what it sends; dead paths lose it at once. */
  act(side: Side, run: (host: ModelHost) => void): void {
    const host = this.#hosts[side];
    run(host);
    this.flights.push(
      ...host.outbox
        .splice(0)
        .filter(({ source, destination }) => !this.deadPaths.has(pathKey(source, destination))),
    );
  }

  open(side: Side, pair: number): void {
    this.act(side, (host) => {
      host.command((endpoint, now) => endpoint.open(now, ulidsAt(side, pair)));
    });
  }

  sendPayload(side: Side, pair: number): void {
    this.act(side, (host) => host.sendPayload(ulidsAt(side, pair)));
  }

  deliver(packet: Packet): void {
    const side = LOCATORS.A.includes(packet.destination) ? "A" : "B";
    this.act(side, (host) => host.receive(packet));
  }

  /** All state is lost; what is under way stays under way. */
  crash(side: Side): void {
    const { clock, incarnation } = this.#hosts[side];
    this.#hosts[side] = new ModelHost(side, incarnation + 1, LOCATORS[side], this.#defect);
    this.#hosts[side].clock = clock;
  }

  /** The second locator's interface goes down or comes up; messages to it still find the host. */
  move(side: Side): void {
    this.act(side, (host) => host.toggleLocator());
  }

  /**
   * A fair run: nothing is lost any more, messages come in order, timers fire when they are due,
   * and applications use what is established, until `settled` or patience ends.
   * @returns whether it settled
   */
  settle(settled: (hosts: TwoHosts) => boolean): boolean {
    let waited = 0;
    let nextPayload = 0;
    while (waited < PATIENCE) {
      this.#deliverAll();
      if (settled(this)) return true;
      if (waited >= nextPayload) {
        nextPayload = waited + PAYLOAD_INTERVAL;
        this.#useAll();
      } else {
        const span = Math.min(nextPayload - waited, this.#untilTimer()) as Duration;
        waited += span;
        this.#advance(span);
      }
    }
    return false;
  }

  /** A fair run without payload. @returns whether both hosts have forgotten every context */
  fallSilent(): boolean {
    for (let waited = 0; waited < SILENCE; ) {
      this.#deliverAll();
      const span = this.#untilTimer();
      if (span === Number.POSITIVE_INFINITY) break;
      waited += span;
      this.#advance(span as Duration);
    }
    return this.hosts.every(({ endpoint }) => endpoint.contexts().length === 0);
  }

  #untilTimer(): number {
    return Math.min(...this.hosts.map(untilTimer));
  }

  #deliverAll(): void {
    for (let i = 0; this.flights.length > 0; i++) {
      if (i > CHAIN_MAX) throw new Error("messages answer each other without end");
      const packet = this.flights.shift();
      if (packet !== undefined) this.deliver(packet);
    }
  }

  #advance(span: Duration): void {
    for (const side of SIDES) {
      const host = this.host(side);
      host.clock = after(host.clock, span);
      for (let i = 0; untilTimer(host) <= 0; i++) {
        if (i > CHAIN_MAX) throw new Error("a timer is due without end");
        this.act(side, () => host.fireTimer());
      }
    }
  }

  #useAll(): void {
    for (const side of SIDES) {
      for (const pair of ULIDS.keys()) {
        if (this.view(side, pair)?.state === "ESTABLISHED") this.sendPayload(side, pair);
      }
    }
  }

  view(side: Side, pair: number): ContextView | undefined {
    const ulids = ulidsAt(side, pair);
    return this.host(side)
      .endpoint.contexts()
      .find((context) => samePair(context.ulids, ulids));
  }
}

export function pathKey(source: Address, destination: Address): string {
  return `${source} ${destination}`;
}

export const SIDES: readonly Side[] = ["A", "B"];

function ulidsAt(side: Side, pair: number): AddressPair {
  const ulids = ULIDS[pair];
  if (ulids === undefined) throw new Error(`no ULID pair ${pair}`);
  return side === "A" ? ulids : { local: ulids.peer, peer: ulids.local };
}

function untilTimer({ endpoint, clock }: ModelHost): number {
  const deadline = endpoint.pollTimeout();
  return deadline === undefined ? Number.POSITIVE_INFINITY : Math.max(0, deadline.at - clock);
}

function address(text: string): Address {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(`not an address: ${text}`);
  return parsed;
}

/** "a1" for 2001:db8:a1::1. */
export function shortName(locator: Address): string {
  return /:([ab]\d):/.exec(locator)?.[1] ?? locator;
}
