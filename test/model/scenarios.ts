import type { HandshakeScenario } from "./handshake-model.ts";
import { isQuiet } from "./invariants.ts";
import type { Budget, TwoHosts } from "./two-hosts.ts";

/** Messages come in any order, and nothing else happens. */
export const NOTHING: Budget = {
  ...{ losses: 0, duplicates: 0, crashes: 0 },
  ...{ opens: 0, payloads: 0, timers: 0, moves: 0, reroutes: 0 },
};

/** What the search of establishment and recovery starts from, and what it lets happen. */
export const SCENARIOS: readonly HandshakeScenario[] = [
  {
    name: "establishment",
    budget: { ...NOTHING, opens: 2, losses: 1, duplicates: 1, timers: 2 },
  },
  {
    name: "establishment with crashes",
    budget: { ...NOTHING, opens: 2, crashes: 1, losses: 1, timers: 2 },
  },
  {
    name: "recovery of a rewritten session",
    budget: { ...NOTHING, crashes: 1, opens: 1, payloads: 2, losses: 1, timers: 1 },
    prepare: establishAndSwitch,
  },
  {
    name: "recovery of a session on its ULIDs",
    budget: { ...NOTHING, crashes: 2, opens: 1, payloads: 1, timers: 2 },
    prepare: establish,
  },
  {
    name: "locators that come and go",
    budget: { ...NOTHING, moves: 2, losses: 1, duplicates: 1, timers: 2 },
    prepare: establish,
  },
  {
    name: "locators that come and go at a peer that crashed",
    budget: { ...NOTHING, moves: 1, crashes: 1, losses: 1, payloads: 1, timers: 1 },
    prepare: establishAndSwitch,
  },
];

/** A session on the first ULID pair, which A has opened. */
export function establish(hosts: TwoHosts): void {
  hosts.open("A", 0);
  if (!hosts.settle(isQuiet)) throw new Error("the session wasn't established");
}

/** Both ends leave the ULIDs, so that payload carries tags. */
export function establishAndSwitch(hosts: TwoHosts): void {
  establish(hosts);
  const tag = hosts.view("A", 0)?.tag;
  if (tag === undefined) throw new Error("the session is gone");
  hosts.act("A", (host) => host.command((endpoint, now) => endpoint.explore(now, tag)));
  if (!hosts.settle(isQuiet)) throw new Error("the session didn't switch");
}
