import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { DAEMON_CAPABILITIES } from "../../src/daemon/privileges.ts";
import { inject } from "../../src/lab/failure.ts";
import { startTcp } from "../../src/lab/flows.ts";
import { provenAddress } from "../../src/lab/proven-addresses.ts";
import { inNamespace, run } from "../../src/lab/shell.ts";
import { findAccount } from "../../src/linux/accounts.ts";
import { type CapabilityName, parsePrivileges } from "../../src/linux/capabilities.ts";
import { untilMoves } from "./support/progress.ts";
import { ShimLab } from "./support/shim-lab.ts";

/** Daemons that run as a user who owns nothing and may do nothing, as a service does. */

const USER = "nobody";
/** Beyond {@link DAEMON_CAPABILITIES}, with one data plane, or with L3SHIM in a private directory. */
const PERHAPS: readonly CapabilityName[] = ["CAP_BPF", "CAP_DAC_READ_SEARCH"];

let lab: ShimLab;

beforeEach(async () => {
  lab = await ShimLab.open({ shims: ["a", "b"], security: "verified", user: USER });
});

afterEach(async () => {
  await lab.close();
});

/** Every thread's user and capabilities. */
function threadsOf(host: string) {
  const tasks = `/proc/${lab.daemon(host).pid}/task`;
  return readdirSync(tasks).map((thread) => {
    const status = readFileSync(`${tasks}/${thread}/status`, "utf8");
    const uids = /^Uid:\t(.*)$/m.exec(status)?.[1]?.split("\t").map(Number);
    return { uids, ...parsePrivileges(status) };
  });
}

function expectConfined(host: string, uid: number): void {
  const threads = threadsOf(host);
  expect(threads.length).toBeGreaterThan(1);
  for (const { uids, effective, permitted, noNewPrivileges } of threads) {
    expect(uids).toEqual([uid, uid, uid, uid]);
    expect(permitted).toEqual(effective);
    for (const name of DAEMON_CAPABILITIES) expect(effective).toContain(name);
    const others = [...effective].filter((name) => !DAEMON_CAPABILITIES.has(name));
    expect(PERHAPS).toEqual(expect.arrayContaining(others));
    expect(noNewPrivileges).toBe(true);
  }
}

/** The rules for packets and routes that a host has. */
async function rulesOf(host: string): Promise<string> {
  const commands = ["nft list ruleset", "ip6tables-save", "ip -6 rule"];
  const texts = commands.map((command) =>
    run(inNamespace(lab.network.namespace(host), command.split(" "))),
  );
  return (await Promise.all(texts)).join("\n");
}

test("daemons of an unprivileged user make addresses, establish a context and switch", async () => {
  const account = findAccount(USER);
  if (account === undefined) throw new Error(`no user ${USER}`);
  for (const host of ["a", "b"]) expectConfined(host, account.uid);
  const destination = await provenAddress(lab.daemon("b"), "isp1");
  await provenAddress(lab.daemon("a"), "isp1");
  const ends = { from: "a", to: "b", source: undefined, destination };
  const flow = await startTcp(lab.network, { ...ends, port: 5001, rate: 1_000_000 });
  await lab.untilAgreed();

  const failure = { kind: "silent-loss", isp: "isp1", direction: "both" } as const;
  const { at } = await inject(lab.network, failure);
  await lab.untilAll(["a", "b"], "recovered", at);
  await untilMoves(flow, 100_000);
  expect(await lab.context("a")).toMatchObject({ switches: 1, peerUlid: destination });
  expect((await flow.stop()).damage).toEqual([]);

  const key = join(lab.lab.directory, "a", "state", "identity", "key.pem");
  expect(statSync(key)).toMatchObject({ uid: account.uid, mode: 0o100600 });
  for (const host of ["a", "b"]) {
    expect(await rulesOf(host)).not.toBe("");
    await lab.daemon(host).stop();
    expect(await rulesOf(host)).not.toMatch(/l3shim/);
  }
});
