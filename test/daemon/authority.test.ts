import { request } from "node:http";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ControlClient } from "../../src/client/control-client.ts";
import { Authority } from "../../src/daemon/control/authority.ts";
import type { PeerCredentials } from "../../src/linux/peer-credentials.ts";
import { A1, B1, networkOf, type TestDaemon, Workshop } from "./fixture.ts";

const DAEMON = 990;
const GROUP = 991;
const STRANGER: PeerCredentials = { uid: 1000, gid: 1000, groups: [4, 27] };

let workshop: Workshop;

beforeEach(() => {
  workshop = new Workshop();
});

afterEach(() => workshop.close());

/** A daemon of the user 990 on a host whose group l3shim is `group`, asked by `peer`. */
async function askedBy(peer: PeerCredentials, group?: number): Promise<TestDaemon> {
  const authority = new Authority({ uid: DAEMON, group }, () => peer);
  const made = workshop.create("a", networkOf(A1), undefined, "", authority);
  await made.daemon.start(made.socket);
  return made;
}

function open({ socket }: TestDaemon) {
  return new ControlClient(socket).open({ localUlid: A1, peerUlid: B1 });
}

/** The status that the daemon answers a request without body with. */
function ask({ socket }: TestDaemon, method: string, path: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath: socket, method, path }, (response) => {
      response.resume().on("end", () => resolve(response.statusCode));
    });
    call.on("error", reject).end();
  });
}

describe("something is changed", () => {
  test.each([
    ["by root", { uid: 0, gid: 0, groups: [] }],
    ["by the daemon's own user", { uid: DAEMON, gid: 1, groups: [] }],
    ["by whoever has the group as primary group", { ...STRANGER, gid: GROUP }],
    ["by whoever is a member of the group", { ...STRANGER, groups: [4, GROUP] }],
  ])("%s", async (_who, peer) => {
    const asked = await askedBy(peer, GROUP);
    expect(await open(asked)).toMatchObject({ done: true });
    expect([...asked.daemon.contexts()]).toHaveLength(1);
  });
});

describe("nothing is changed", () => {
  test.each([
    ["by another user", STRANGER, GROUP],
    ["by another user where there is no such group", STRANGER, undefined],
    ["by a member of root's group", { ...STRANGER, gid: 0, groups: [0] }, GROUP],
  ])("%s, who is told what it takes", async (_who, peer, group) => {
    const asked = await askedBy(peer, group);
    await expect(open(asked)).rejects.toThrow(
      "uid 1000 may look at the daemon but not change anything; run as root, or join the group l3shim",
    );
    expect([...asked.daemon.contexts()]).toEqual([]);
  });

  test.each(["POST", "PUT", "DELETE", "PATCH"])("by %s, on whatever path", async (method) => {
    const asked = await askedBy(STRANGER, GROUP);
    expect(await ask(asked, method, "/v1/contexts")).toBe(403);
    expect(await ask(asked, method, "/v1/no-such-path")).toBe(403);
  });
});

test("another user may look at everything", async () => {
  const asked = await askedBy(STRANGER, GROUP);
  const client = new ControlClient(asked.socket);
  expect(await client.status()).toMatchObject({ version: "0.0.0-test" });
  expect((await client.contexts()).contexts).toEqual([]);
  expect((await client.locators()).locators).toHaveLength(1);
});
