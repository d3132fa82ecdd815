import { FairRuns } from "./fair-runs.ts";
import { describePacket, fingerprintOf } from "./fingerprint.ts";
import type { Defect } from "./host.ts";
import { findBroken, isQuiet } from "./invariants.ts";
import type { Choice, Model } from "./search.ts";
import { type Budget, SIDES, TwoHosts, ULIDS } from "./two-hosts.ts";

/** Timers wait while this many messages are under way: else the network fills without end. */
const FLIGHTS_MAX = 3;

export interface HandshakeScenario {
  readonly name: string;
  readonly budget: Budget;
  /** What has happened before the search begins. */
  readonly prepare?: (hosts: TwoHosts) => void;
  readonly defect?: Defect;
}

/** Establishment and recovery with everything that a network and a host may do to them. */
export function handshakeModel({ budget, prepare, defect }: HandshakeScenario): Model<TwoHosts> {
  const fairRuns = new FairRuns(isQuiet);
  return {
    start: () => {
      const hosts = new TwoHosts(budget, defect);
      prepare?.(hosts);
      hosts.budget = budget;
      return hosts;
    },
    choices: choicesOf,
    fingerprint: fingerprintOf,
    problem: (hosts) => findBroken(hosts) ?? fairRuns.problem(hosts),
  };
}

/** Everything that may happen next, as far as the budget goes. */
export function choicesOf(hosts: TwoHosts): Choice<TwoHosts>[] {
  return [...flightChoices(hosts), ...hostChoices(hosts)];
}

/** Any message under way may be the next to come, get lost or come twice. */
function flightChoices({ flights, budget }: TwoHosts): Choice<TwoHosts>[] {
  return flights.flatMap((packet, index) => {
    const name = describePacket(packet);
    const choices: Choice<TwoHosts>[] = [
      { label: `deliver ${name}`, run: (hosts) => deliver(hosts, index) },
    ];
    if (budget.losses > 0) {
      choices.push({ label: `lose ${name}`, run: (hosts) => lose(hosts, index) });
    }
    if (budget.duplicates > 0) {
      choices.push({ label: `duplicate ${name}`, run: (hosts) => duplicate(hosts, index) });
    }
    return choices;
  });
}

function deliver(hosts: TwoHosts, index: number): void {
  for (const packet of hosts.flights.splice(index, 1)) hosts.deliver(packet);
}

function lose(hosts: TwoHosts, index: number): void {
  hosts.spend("losses");
  hosts.flights.splice(index, 1);
}

function duplicate(hosts: TwoHosts, index: number): void {
  hosts.spend("duplicates");
  hosts.flights.push(...hosts.flights.slice(index, index + 1));
}

function hostChoices(hosts: TwoHosts): Choice<TwoHosts>[] {
  const { budget, flights } = hosts;
  return SIDES.flatMap((side) => {
    const choices: Choice<TwoHosts>[] = [];
    const { endpoint } = hosts.host(side);
    const offer = (
      label: string,
      what: keyof Budget | undefined,
      run: (state: TwoHosts) => void,
    ): void => {
      if (what !== undefined && budget[what] === 0) return;
      choices.push({
        label,
        run: (state) => {
          if (what !== undefined) state.spend(what);
          run(state);
        },
      });
    };
    const timer = endpoint.pollTimeout();
    // An idle context's end lies far behind all that can still happen: only fair runs come to it.
    if (timer !== undefined && timer.reason !== "idle" && flights.length < FLIGHTS_MAX) {
      offer(`timer ${side}`, "timers", (state) => state.act(side, (host) => host.fireTimer()));
    }
    offer(`move ${side}`, "moves", (state) => state.move(side));
    offer(`crash ${side}`, "crashes", (state) => state.crash(side));
    for (const pair of ULIDS.keys()) {
      const view = hosts.view(side, pair);
      if (view === undefined) {
        offer(`open ${side}${pair + 1}`, "opens", (state) => state.open(side, pair));
      }
      if (view?.state === "ESTABLISHED") {
        offer(`payload ${side}${pair + 1}`, "payloads", (state) => state.sendPayload(side, pair));
      }
    }
    return choices;
  });
}
