import { expect } from "vitest";
import type { LocalLocator } from "../../../src/core/config.ts";
import { type Duration, seconds } from "../../../src/core/time.ts";
import { address, type Host, World } from "./world.ts";

export const A1 = "2001:db8:a1::1";
export const A2 = "2001:db8:a2::1";
export const A3 = "2001:db8:a3::1";
export const B1 = "2001:db8:b1::1";
export const B2 = "2001:db8:b2::1";
export const ULIDS = { local: address(A1), peer: address(B1) };
export const REVERSED = { local: address(B1), peer: address(A1) };
export const SECOND = { local: address(A2), peer: address(B2) };

export interface Lab {
  readonly world: World;
  readonly a: Host;
  readonly b: Host;
}

export function established(): Lab {
  const world = new World();
  const a = world.host(71, [A1, A2]);
  const b = world.host(72, [B1, B2]);
  a.open(A1, B1);
  world.run(seconds(1));
  world.sent.length = 0;
  return { world, a, b };
}

/** Payload both ways, ten packets a second. */
export function talk({ world, a, b }: Lab, span: Duration): void {
  for (let at = 0; at < span; at += 100) {
    world.in(at as Duration, () => {
      a.send(ULIDS);
      b.send(REVERSED);
    });
  }
}

export function cut(lab: Lab, ...dead: readonly string[]): void {
  lab.world.loses = ({ source, destination }) =>
    dead.includes(source) && dead.includes(destination);
}

/** On the second path, the first being dead for good. */
export function switched(): Lab {
  const lab = established();
  cut(lab, A1, B1);
  talk(lab, seconds(30));
  lab.world.run(seconds(30));
  for (const host of [lab.a, lab.b]) {
    expect(only(host)).toMatchObject({ reapState: "Operational", switches: 1 });
    host.events.length = 0;
  }
  lab.world.sent.length = 0;
  return lab;
}

export function restart(host: Host): void {
  host.kill();
  expect(host.start(73)).toEqual([]);
}

export function only(host: Host) {
  const [context, ...others] = host.endpoint.contexts();
  if (context === undefined || others.length > 0) throw new Error("one context was expected");
  return context;
}

export function locator(text: string): LocalLocator {
  return { address: address(text), preference: 0, operational: true };
}
