import { request } from "node:http";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ControlClient } from "../../src/client/control-client.ts";
import type { ForkRequest, MonitorEvent } from "../../src/daemon/api.ts";
import { A1, A2, B1, B2, collect, type TestDaemon, Workshop } from "./fixture.ts";

let workshop: Workshop;

beforeEach(() => {
  workshop = new Workshop();
});

afterEach(() => workshop.close());

const VIDEO = { protocol: 17, peerPorts: { first: 5004, last: 5005 } };
const SECOND = { localLocator: A2, peerLocator: B2 };

async function establish(configOfFirst = "") {
  const hosts = await workshop.establish(configOfFirst);
  return { ...hosts, client: new ControlClient(hosts.a.socket) };
}

/** What the daemon says to a body that TypeScript would not let pass. */
function post({ socket }: TestDaemon, path: string, body: unknown) {
  return new Promise<{ status: number | undefined; error: string }>((resolve, reject) => {
    const call = request({ socketPath: socket, method: "POST", path }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk) => {
        text += chunk as string;
      });
      response.on("end", () => {
        const { error } = JSON.parse(text) as { error: string };
        resolve({ status: response.statusCode, error });
      });
    });
    call.once("error", reject);
    call.end(JSON.stringify(body));
  });
}

test("a fork is a context of its own at both ends, and says what it carries", async () => {
  const { a, b, tag, client } = await establish();
  const { forks } = await client.fork({ selector: VIDEO, locators: SECOND });
  expect(forks).toEqual([{ context: tag, fork: expect.stringMatching(/^[0-9a-f]{12}$/) }]);
  a.clock.advance(2000);
  const { context } = await client.context(forks[0]?.fork ?? "");
  expect(context).toMatchObject({
    state: "ESTABLISHED",
    localUlid: A1,
    peerUlid: B1,
    ...SECOND,
    preferred: SECOND,
    selector: VIDEO,
  });
  expect(context.forkedInstance).toBeGreaterThan(0);
  const { contexts } = await new ControlClient(b.socket).contexts();
  expect(contexts.find((peer) => peer.localTag === context.peerTag)).toMatchObject({
    forkedInstance: context.forkedInstance,
    selector: null,
    preferred: null,
  });
  expect((await client.context(tag)).context).toMatchObject({
    forkedInstance: 0,
    selector: null,
    localLocator: A1,
    peerLocator: B1,
  });
});

test("prefixes choose the contexts to fork, a tag one of them", async () => {
  const { a, tag, client } = await establish();
  a.plane.events.trigger(a.clock.now(), { local: A2, peer: B2 });
  const other = (await client.contexts()).contexts.find(({ localTag }) => localTag !== tag);
  const forked = async (change: Partial<ForkRequest>, prefixes = {}) => {
    const { forks } = await client.fork({ selector: { ...VIDEO, ...prefixes }, ...change });
    return forks.map(({ context }) => context);
  };
  expect(await forked({}, { localPrefix: "2001:db8:a1::/48" })).toEqual([tag]);
  expect(await forked({}, { peerPrefix: "2001:db8:b2::/48" })).toEqual([other?.localTag]);
  expect(await forked({ context: tag })).toEqual([tag]);
  expect(await forked({})).toEqual([tag, other?.localTag]);
  await expect(forked({ context: tag }, { peerPrefix: "2001:db8:b2::/48" })).rejects.toThrow(
    "no ESTABLISHED context has its ULIDs in these prefixes",
  );
});

test("the peer selects packets of its own for a fork that it did not make", async () => {
  const { a, b, client } = await establish();
  await client.fork({ selector: VIDEO });
  a.clock.advance(1000);
  const peer = new ControlClient(b.socket);
  const theirs = (await peer.contexts()).contexts.find(({ forkedInstance }) => forkedInstance > 0);
  const tag = theirs?.localTag ?? "";
  const { forks } = await peer.fork({ selector: { dscp: 46 }, context: tag });
  expect(forks).toEqual([{ context: tag, fork: tag }]);
  expect((await peer.context(tag)).context.selector).toEqual({ dscp: 46 });
});

test("the event stream says which established contexts are forks", async () => {
  const { a, client } = await establish();
  const events: MonitorEvent[] = [];
  const ended = collect(client.events(), events);
  await expect.poll(() => a.daemon.events.subscriptions).toBe(1);
  const { forks } = await client.fork({ selector: VIDEO });
  a.plane.events.trigger(a.clock.now(), { local: A2, peer: B2 });
  const { contexts } = await client.contexts();
  await a.daemon.stop();
  await ended;
  const established = events.filter(({ event }) => event === "established");
  const fork = contexts.find(({ localTag }) => localTag === forks[0]?.fork);
  expect(established).toMatchObject([
    { context: fork?.localTag, forkedInstance: fork?.forkedInstance },
    { localUlid: A2, forkedInstance: 0 },
  ]);
});

test.each<[string, unknown]>([
  ["selector: this key is required", {}],
  ["the request: must be an object", null],
  ["selector.ports: unknown key; known here: localPrefix, peerPrefix", { selector: { ports: 1 } }],
  ["selector.protocol: must be a whole number from 0 to 255", { selector: { protocol: 256 } }],
  ["selector.protocol: must be a whole number from 0 to 255", { selector: { protocol: "udp" } }],
  ["selector.dscp: must be a whole number from 0 to 63, but is 64", { selector: { dscp: 64 } }],
  [
    'selector.localPrefix: must be an IPv6 prefix such as "2001:db8::/32", no bit set beyond it',
    { selector: { localPrefix: "2001:db8::1/64" } },
  ],
  [
    "selector.peerPorts.last: must be a whole number from 0 to 65535, but is 65536",
    { selector: { peerPorts: { first: 1, last: 65_536 } } },
  ],
  [
    "selector.localPorts: first must not be greater than last",
    { selector: { localPorts: { first: 2, last: 1 } } },
  ],
  [
    "selector: ports go with the protocols 6, 17, 33, 132, 136 only",
    { selector: { protocol: 58, localPorts: { first: 1, last: 1 } } },
  ],
  [
    "selector.mark: value must have no bit that mask has not",
    { selector: { mark: { value: 0x8000_0001, mask: 0x8000_0000 } } },
  ],
  ["context: must be a context tag, 1 to 12 hex digits", { selector: {}, context: "xyz" }],
  [
    "locators.peerLocator: this key is required",
    { selector: {}, locators: { localLocator: "2001:db8::1" } },
  ],
])("a fork that can't be meant is a bad request: %s", async (text, body) => {
  const { a } = await establish();
  const { status, error } = await post(a, "/v1/forks", body);
  expect(status).toBe(400);
  expect(error).toContain(text);
  expect([...a.daemon.contexts()]).toHaveLength(1);
});

test("the highest mark and the widest ranges are good", async () => {
  const { client } = await establish();
  const selector = {
    localPrefix: "::/0",
    protocol: 6,
    localPorts: { first: 0, last: 65_535 },
    dscp: 63,
    mark: { value: 0xffff_ffff, mask: 0xffff_ffff },
  };
  const { forks } = await client.fork({ selector });
  const { localPrefix: _, ...flow } = selector;
  expect((await client.context(forks[0]?.fork ?? "")).context.selector).toEqual(flow);
});

test("an unknown context is not found", async () => {
  const { a } = await establish();
  expect(await post(a, "/v1/forks", { selector: {}, context: "ff" })).toEqual({
    status: 404,
    error: "no context has this tag",
  });
  expect((await post(a, "/v1/contexts/ff/prefer", {})).status).toBe(404);
});

test("what cannot be forked is refused with the reason", async () => {
  const { a, tag, client } = await establish("max-contexts = 2");
  const refused = async (body: object) => {
    const { status, error } = await post(a, "/v1/forks", { selector: {}, ...body });
    expect(status).toBe(409);
    return error;
  };
  expect(await refused({ selector: { peerPrefix: "2001:db8:99::/48" } })).toContain(
    "no ESTABLISHED context has its ULIDs in these prefixes",
  );
  expect(await refused({ locators: { localLocator: A1, peerLocator: A2 } })).toBe(
    `${A1} > ${A2} is no locator pair of context ${tag}: ` +
      `its local locators are ${A1}, ${A2}, its peer locators ${B1}, ${B2}`,
  );
  await client.fork({ selector: VIDEO });
  expect(await refused({})).toContain("max-contexts");
});

test("a context that is not ESTABLISHED yet can neither fork nor prefer", async () => {
  const [a] = await workshop.createPair();
  a.plane.sendControl = () => undefined;
  a.plane.events.trigger(a.clock.now(), { local: A1, peer: B1 });
  const tag = [...a.daemon.contexts()][0]?.localTag;
  const reason = `context ${tag} is not ESTABLISHED but I1-SENT; try again when it is`;
  expect(await post(a, "/v1/forks", { selector: {}, context: tag })).toEqual({
    status: 409,
    error: reason,
  });
  expect(await post(a, `/v1/contexts/${tag}/prefer`, {})).toEqual({ status: 409, error: reason });
});

test("a preferred pair is used while it works, and may be taken back", async () => {
  const { a, tag, client } = await establish();
  await client.prefer(tag, SECOND);
  a.clock.advance(2000);
  expect((await client.context(tag)).context).toMatchObject({ ...SECOND, preferred: SECOND });
  await client.prefer(tag, {});
  expect((await client.context(tag)).context).toMatchObject({ ...SECOND, preferred: null });
  expect(await post(a, `/v1/contexts/${tag}/prefer`, { localLocator: A1 })).toEqual({
    status: 400,
    error: "peerLocator: this key is required",
  });
  const { error } = await post(a, `/v1/contexts/${tag}/prefer`, {
    localLocator: B1,
    peerLocator: B2,
  });
  expect(error).toContain(`${B1} > ${B2} is no locator pair of context ${tag}`);
});

test("a pin names both locators or none", async () => {
  const { a, tag } = await establish();
  const path = `/v1/contexts/${tag}/pin`;
  expect(await post(a, path, { localLocator: A1 })).toEqual({
    status: 400,
    error: "peerLocator: this key is required",
  });
  expect(await post(a, path, { strict: 1 })).toEqual({
    status: 400,
    error: "strict: must be true or false, but is 1",
  });
  const foreign = await post(a, path, { localLocator: B1, peerLocator: B2 });
  expect(foreign).toMatchObject({ status: 409, error: expect.stringContaining("no locator pair") });
});

test("the Send Timeout changes at run time, with the configuration's range and warning", async () => {
  const { a, b, client } = await establish();
  expect(await client.setSendTimeout({ sendTimeout: 5 })).toEqual({
    schemaVersion: 1,
    sendTimeout: 5,
    warnings: [
      { code: "short-send-timeout", severity: "info", text: expect.stringContaining("is 5 s") },
    ],
  });
  const status = await client.status();
  expect(status.sendTimeout).toBe(5);
  expect(status.warnings.map(({ code }) => code)).toContain("short-send-timeout");
  expect(await client.setSendTimeout({ sendTimeout: 20 })).toMatchObject({ warnings: [] });
  expect((await client.status()).warnings.map(({ code }) => code)).toEqual(["unverified"]);
  expect(b.daemon.status().sendTimeout).toBe(10);
  expect(await post(a, "/v1/send-timeout", { sendTimeout: 101 })).toEqual({
    status: 400,
    error: "sendTimeout: must be a whole number from 1 to 100 (seconds), but is 101",
  });
});

test("contexts tell the weight and transience of an uplink, to the peer too", async () => {
  const { b, client } = await establish(
    '[[uplink]]\ninterface = "up1"\nweight = 60\ntransient = true',
  );
  const [own] = (await client.contexts()).contexts;
  const [theirs] = (await new ControlClient(b.socket).contexts()).contexts;
  const marked = { address: A2, weight: 60, transient: true };
  expect(own?.localLocators[1]).toMatchObject(marked);
  expect(theirs?.peerLocators[1]).toMatchObject(marked);
  expect((await client.status()).uplinks[1]).toMatchObject({ weight: 60, transient: true });
  expect((await client.locators()).locators[1]).toMatchObject(marked);
});
