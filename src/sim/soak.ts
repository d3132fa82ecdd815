import { SimRandom } from "./random.ts";
import type { Failure, FlowSpec, Scenario } from "./scenario.ts";

/** How large a soak, or one group of it, is. */
export interface SoakSize {
  /** 2 or more. */
  readonly hosts: number;
  readonly hours: number;
}

/** A part of a soak: hosts that only talk to each other. */
export interface SoakGroup extends SoakSize {
  readonly seed: number;
}

/** Hosts of a group at most: few enough for the processor's cache. */
const GROUP_SIZE = 50;

/**
 * The soak's hosts in groups that know nothing of each other, so that they can run side by side.
 * Group after group has the next seed: each is a soak of its own size with that seed.
 */
export function soakGroups(seed: number, { hosts, hours }: SoakSize): SoakGroup[] {
  const count = Math.ceil(hosts / GROUP_SIZE);
  return Array.from({ length: count }, (_, i) => {
    const first = Math.floor((i * hosts) / count);
    return { seed: seed + i, hosts: Math.floor(((i + 1) * hosts) / count) - first, hours };
  });
}

const HOUR = 3600;
/** Failures of each host in an hour. */
const FAILURES_PER_HOUR = 1;
/** Their mean length, in seconds. */
const FAILURE_LENGTH = 180;
/** How often an uplink of a host begins to flap in an hour: dead for 3 of every 10 s, 20 times. */
const FLAPPINGS_PER_HOUR = 0.05;
const FLAPS = { count: 20, interval: 10, lasts: 3 };

/**
 * Hosts with two or three uplinks; each talks to another one now and then, and fails now and
 * then. The flows are sparse, since what is searched for lies in the contexts that come and go,
 * not in the payload.
 */
export function soakScenario({ seed, hosts, hours }: SoakGroup): Scenario {
  const random = new SimRandom(seed, "soak");
  const names = Array.from({ length: hosts }, (_, i) => `h${i + 1}`);
  const uplinks = names.map(() => 2 + random.index(2));
  const duration = hours * HOUR;
  const count = Math.round(hosts * hours * FAILURES_PER_HOUR);
  const failures = Array.from({ length: count }, () =>
    drawFailure(random, names, uplinks, duration),
  );
  // Their own numbers, so that all else of a seed stays as it was before there were any.
  const dice = new SimRandom(seed, "soak-flapping");
  const flappings = Array.from({ length: Math.ceil(hosts * hours * FLAPPINGS_PER_HOUR) }, () =>
    drawFlapping(dice, names, uplinks, duration),
  );
  return {
    name: "soak",
    summary: `${hosts} hosts for ${hours} hours with random failures and flapping uplinks`,
    hosts: names.map((name, i) => ({ name, uplinks: uplinks[i] ?? 2 })),
    link: {
      ...{ delay: 0.02, loss: 0.002, duplicate: 0.001 },
      burst: { enter: 0.0005, leave: 0.1, loss: 0.8 },
      reorder: { share: 0.01, by: 0.05 },
    },
    flows: names.map((_, i) => drawFlow(random, names, i)),
    failures: [...failures, ...flappings.flat()].sort((a, b) => a.at - b.at),
    failBack: { hold: 30, maxHold: 600 },
    duration,
    sendTimeout: 15,
    contextIdleTimeout: 300,
    trigger: 10,
  };
}

function drawFlow(random: SimRandom, names: readonly string[], from: number): FlowSpec {
  const to = (from + 1 + random.index(names.length - 1)) % names.length;
  return {
    kind: random.chance(0.5) ? "udp" : "tcp",
    from: nameAt(names, from),
    to: nameAt(names, to),
    interval: 4,
    start: random.between(0, HOUR),
    phases: { active: 400, silent: 1600 },
  };
}

function drawFailure(
  random: SimRandom,
  names: readonly string[],
  uplinks: readonly number[],
  duration: number,
): Failure {
  const host = random.index(names.length);
  const name = nameAt(names, host);
  const uplink = { host: name, uplink: random.index(uplinks[host] ?? 1) };
  const when = { at: random.between(0, duration), lasts: random.exponential(FAILURE_LENGTH) };
  const kind = random.unit();
  if (kind < 0.1) return { ...when, type: "reboot", host: name };
  if (kind < 0.12) {
    const others = Array.from({ length: 20 }, () => nameAt(names, random.index(names.length)));
    return { ...when, type: "partition", hosts: [name, ...others] };
  }
  if (kind < 0.22) return { ...when, ...uplink, type: "renumber" };
  if (kind < 0.35) return { ...when, ...uplink, type: "loss", share: random.between(0.1, 0.9) };
  if (kind < 0.5) {
    const peer = random.index(names.length);
    const to = { host: nameAt(names, peer), uplink: random.index(uplinks[peer] ?? 1) };
    return { ...when, type: "path", from: uplink, to };
  }
  const direction = (["up", "down", "both", "both"] as const)[random.index(4)] ?? "both";
  return { ...when, ...uplink, type: "uplink", direction, seen: random.chance(0.3) };
}

/** An uplink that looks well in between: what fail-back must not follow each time. */
function drawFlapping(
  random: SimRandom,
  names: readonly string[],
  uplinks: readonly number[],
  duration: number,
): Failure[] {
  const host = random.index(names.length);
  const uplink = { host: nameAt(names, host), uplink: random.index(uplinks[host] ?? 1) };
  const { count, interval, lasts } = FLAPS;
  const start = random.between(0, Math.max(0, duration - count * interval));
  return Array.from({ length: count }, (_, i) => ({
    ...{ ...uplink, type: "uplink" as const, direction: "both" as const, seen: false },
    ...{ at: start + i * interval, lasts },
  }));
}

function nameAt(names: readonly string[], index: number): string {
  const name = names[index];
  if (name === undefined) throw new RangeError(`no host ${index} of ${names.length}`);
  return name;
}
