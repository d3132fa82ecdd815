import { describe, expect, test } from "vitest";
import { QUIET_TIME } from "../../src/core/defaults.ts";
import { after, milliseconds, minutes, seconds } from "../../src/core/time.ts";
import { address, type Host, World } from "./support/world.ts";

const A = "2001:db8:a::1";
const B = "2001:db8:b::1";
const ULIDS = { local: address(A), peer: address(B) };
const REVERSED = { local: address(B), peer: address(A) };
const SEND_TIMEOUT = seconds(15);
const IDLE_TIMEOUT = minutes(10);

/** Two hosts with a context whose payload, one packet each way, has rested for a minute. */
function quietHosts(detect: "adaptive" | "rfc"): { world: World; a: Host; b: Host } {
  const world = new World();
  const a = world.host(1, [A], { detect });
  const b = world.host(2, [B], { detect });
  a.open(A, B);
  world.run(seconds(1));
  a.send(ULIDS);
  world.run(milliseconds(50));
  b.send(REVERSED);
  world.run(minutes(1));
  world.sent.length = 0;
  return { world, a, b };
}

describe.each(["adaptive", "rfc"] as const)("a context at rest, detection %s", (detect) => {
  test("is not read, and waits for nothing but its end", () => {
    const { world, a, b } = quietHosts(detect);
    const before = a.readings + b.readings;
    world.run(minutes(5));
    expect(a.readings + b.readings).toBe(before);
    expect(a.endpoint.pollTimeout()).toMatchObject({ reason: "idle" });
    expect(world.messages).toEqual([]);
  });

  test("is forgotten when it has been idle for as long as it may be, to the millisecond", () => {
    const { world, a, b } = quietHosts(detect);
    const tag = a.endpoint.contexts()[0]?.tag;
    const lastIn = a.records.get(tag ?? (0 as never))?.snapshot.lastIn ?? world.now;
    world.run((IDLE_TIMEOUT - minutes(1) + seconds(1)) as never);
    const [closed] = a.events.filter(({ event }) => event === "closed");
    expect(closed).toMatchObject({ cause: "idle", at: after(lastIn, IDLE_TIMEOUT) });
    expect(b.endpoint.contexts()).toEqual([]);
  });

  test("keeps its peer informed from the first packet on that comes in", () => {
    const { world, a, b } = quietHosts(detect);
    b.send(REVERSED);
    const sentAt = world.now;
    world.run(seconds(20));
    const keepalives = world.sent.filter(
      ({ source, control }) => source === address(A) && control?.message.type === "Keepalive",
    );
    const interval = SEND_TIMEOUT / 3;
    const expected = [1, 2, 3].map((i) => sentAt + world.delay + i * interval);
    expect(keepalives.map(({ at }) => at)).toEqual(expected);
    expect(a.endpoint.pollTimeout()).toMatchObject({ reason: "idle" });
  });

  test("whose peer has died meanwhile explores in time after the first packet that leaves", () => {
    const { world, a, b } = quietHosts(detect);
    b.kill();
    a.send(ULIDS);
    const sentAt = world.now;
    world.run(seconds(20));
    const [exploring] = a.events.filter(({ event }) => event === "exploring");
    expect(exploring).toMatchObject({ cause: "send-timeout" });
    expect((exploring?.at ?? 0) - sentAt).toBeGreaterThanOrEqual(SEND_TIMEOUT);
    expect((exploring?.at ?? 0) - sentAt).toBeLessThanOrEqual(1.05 * SEND_TIMEOUT);
  });
});

test("a silence after long rest is suspected as early as one in the midst of talk", () => {
  const { world, a } = quietHosts("adaptive");
  world.loses = ({ payload }) => payload !== undefined;
  const start = world.now;
  const tick = (): void => {
    a.send(ULIDS);
    if (world.now < after(start, seconds(2))) world.in(milliseconds(20), tick);
  };
  tick();
  world.run(seconds(2));
  const [first] = world.sent.filter(({ control }) => control?.message.type === "Probe");
  expect((first?.at ?? 0) - start).toBeLessThanOrEqual(400);
});

test("payload that passes more often than it would be quiet is never awaited", () => {
  const { world, a } = quietHosts("rfc");
  for (let i = 0; i < 20; i++) {
    a.send(ULIDS);
    world.run((QUIET_TIME - 1) as never);
    expect(a.endpoint.pollTimeout()?.reason).not.toBe("idle");
  }
});
