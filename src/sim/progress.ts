import { type AddressPair, samePair } from "../core/output.ts";
import { between, type Duration, type Instant, seconds } from "../core/time.ts";
import type { Flow } from "./flow.ts";
import type { Host } from "./host.ts";
import { InvariantViolation } from "./invariants.ts";
import type { Network } from "./network.ts";
import type { LinkModel, Scenario } from "./scenario.ts";

/** The longest pause between two probes: 60 s (RFC 5534 section 4.3) and our jitter. */
const PROBE_PAUSE_MAX = 72;
/** Chance that losses alone keep a flow from recovering in time: next to none. */
const MISSED = 1e-6;

/** A flow must go on when it could have for longer than recovery takes at worst. */
export function checkProgress(now: Instant, flow: Flow, scenario: Scenario, net: Network): void {
  const { from, to, activeSince, progressAt } = flow;
  if (activeSince === undefined || !from.isUp || !to.isUp) return;
  const since = Math.max(progressAt, from.changedAt, to.changedAt);
  const patience = seconds(recoveryBound(scenario, from, to));
  if (now - since <= patience || !couldWork(now, flow, patience, net)) return;
  const message =
    `the ${flow.spec.kind} flow from ${from.name} to ${to.name} has made no progress for ` +
    `${((now - since) / 1000).toFixed(0)} s though a pair of locators works both ways`;
  throw new InvariantViolation("flow-recovers", [from.name, to.name], message);
}

/** Plain IPv6 works, or both ends have held a context long enough and some pair works. */
function couldWork(
  now: Instant,
  { from, to, ulids }: Flow,
  patience: Duration,
  net: Network,
): boolean {
  if (worksBothWays(net, ulids)) return true;
  const mirrored = { local: ulids.peer, peer: ulids.local };
  return (
    holdsFor(now, from, ulids, patience) &&
    holdsFor(now, to, mirrored, patience) &&
    from.addresses.some((local) => to.addresses.some((peer) => worksBothWays(net, { local, peer })))
  );
}

function holdsFor(now: Instant, host: Host, ulids: AddressPair, span: Duration): boolean {
  return host.endpoint
    .contexts()
    .some(
      (context) =>
        samePair(context.ulids, ulids) &&
        context.establishedAt !== undefined &&
        between(context.establishedAt, now) > span,
    );
}

function worksBothWays(net: Network, { local, peer }: AddressPair): boolean {
  return net.isOpen({ local, peer }) && net.isOpen({ local: peer, peer: local });
}

/**
 * Seconds after which a flow has recovered, as far as losses let anything be certain: both Send
 * Timeouts, all pairs probed again and again at the longest pause, a hold-down of I1 (60 s)
 * after its four retransmissions (64 s), and TCP's longest timeout (60 s).
 */
function recoveryBound({ sendTimeout, link }: Scenario, from: Host, to: Host): number {
  // Three messages end an exploration, and each passes two links.
  const passes = passesOf(link) ** 6;
  const rounds = Math.max(2, Math.ceil(Math.log(MISSED) / Math.log(1 - passes)));
  const pairs = from.addresses.length * to.addresses.length;
  return 2 * sendTimeout + rounds * pairs * PROBE_PAUSE_MAX + 184;
}

/** The share of packets that pass a link. */
function passesOf({ loss = 0, burst }: LinkModel): number {
  const bursting = burst === undefined ? 0 : burst.enter / (burst.enter + burst.leave);
  return (1 - loss) * (1 - bursting * (burst?.loss ?? 0));
}
