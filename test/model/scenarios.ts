import type { HandshakeScenario } from "./handshake-model.ts";
import { isQuiet } from "./invariants.ts";
import { type Budget, SIDES, type TwoHosts } from "./two-hosts.ts";

/** Messages come in any order, and nothing else happens. */
export const NOTHING: Budget = {
  ...{ losses: 0, duplicates: 0, crashes: 0 },
  ...{ opens: 0, payloads: 0, timers: 0 },
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
];

/** A session on the first ULID pair, which A has opened. */
export function establish(hosts: TwoHosts): void {
  hosts.open("A", 0);
  if (!hosts.settle(isQuiet)) throw new Error("the session wasn't established");
}

/** Both ends leave the ULIDs, so that payload carries tags. */
export function establishAndSwitch(hosts: TwoHosts): void {
  establish(hosts);
  for (const side of SIDES) {
    const tag = hosts.view(side, 0)?.tag;
    if (tag === undefined) throw new Error("the session is gone");
    hosts.act(side, (host) => host.command((endpoint, now) => endpoint.explore(now, tag)));
  }
  if (!hosts.settle(isQuiet)) throw new Error("the session didn't switch");
}
