import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { A1, A2, networkOf, Workshop } from "../daemon/fixture.ts";
import { l3shim } from "./capture.ts";

let workshop: Workshop;

beforeEach(() => {
  workshop = new Workshop();
});

afterEach(() => workshop.close());

test("a healthy host has no problem, and the exit status 0", async () => {
  const a = workshop.create("a", networkOf(A1, A2));
  await a.daemon.start(a.socket);
  const { status, stdout } = await l3shim("check", "--socket", a.socket);
  expect(status).toBe(0);
  expect(stdout).toMatchInlineSnapshot(`
    "Note (packets-in-user-space): Packets of sessions that have moved pass through the daemon: the daemon's log names what the other one lacks.
      Nothing has to be done; the data plane in the kernel takes less of the processor.

    Note (unverified): security is unverified: peers' locators are believed without proof.

    A path that dies in silence: noticed within 11 s, and the last of 4 pairs of locators tried 1.5 s later, at most.

    No problem found.
    "
  `);
});

test("a problem is named with its remedy, and the exit status is 4", async () => {
  const a = workshop.create("a", networkOf(A1));
  await a.daemon.start(a.socket);
  const { status, stdout } = await l3shim("check", "--socket", a.socket);
  expect(status).toBe(4);
  expect(stdout).toMatchInlineSnapshot(`
    "Problem (single-uplink): up0 is the only uplink that works: when it dies, there is nothing to switch to.
      Connect a second one, with a default route of its own (a higher metric will do), or name it in the configuration with [[uplink]].

    Note (packets-in-user-space): Packets of sessions that have moved pass through the daemon: the daemon's log names what the other one lacks.
      Nothing has to be done; the data plane in the kernel takes less of the processor.

    Note (unverified): security is unverified: peers' locators are believed without proof.

    A path that dies in silence: noticed within 11 s, and the last of 2 pairs of locators tried 0.5 s later, at most.

    1 problem found.
    "
  `);
});

test("without an uplink no time to recover is promised", async () => {
  const a = workshop.create("a", networkOf());
  await a.daemon.start(a.socket);
  const { status, stdout } = await l3shim("check", "--socket", a.socket);
  expect(status).toBe(4);
  expect(stdout).toContain("there is no pair of locators to go on with.");
  expect(stdout).not.toContain("noticed within");
});

test("--json is one object with the findings", async () => {
  const a = workshop.create("a", networkOf(A1));
  await a.daemon.start(a.socket);
  const { status, stdout } = await l3shim("check", "--json", "--socket", a.socket);
  expect(status).toBe(4);
  expect(JSON.parse(stdout)).toMatchInlineSnapshot(`
    {
      "findings": [
        {
          "id": "single-uplink",
          "remedy": "Connect a second one, with a default route of its own (a higher metric will do), or name it in the configuration with [[uplink]].",
          "sentence": "up0 is the only uplink that works: when it dies, there is nothing to switch to.",
          "severity": "error",
          "subject": "up0",
        },
        {
          "id": "packets-in-user-space",
          "remedy": "Nothing has to be done; the data plane in the kernel takes less of the processor.",
          "sentence": "Packets of sessions that have moved pass through the daemon: the daemon's log names what the other one lacks.",
          "severity": "info",
          "subject": null,
        },
        {
          "id": "unverified",
          "remedy": null,
          "sentence": "security is unverified: peers' locators are believed without proof.",
          "severity": "info",
          "subject": null,
        },
      ],
      "recovery": {
        "detection": 10.5,
        "exploration": 0.5,
        "pairs": 2,
      },
      "schemaVersion": 1,
    }
  `);
});

test("without a daemon the host is checked all the same, by the configuration that is named", async () => {
  const config = join(workshop.directory, "config.toml");
  writeFileSync(config, "sendtimeout = 3\n");
  const socket = join(workshop.directory, "nobody.sock");
  const { status, stdout } = await l3shim(
    "check",
    "--json",
    "--socket",
    socket,
    "--config",
    config,
  );
  const { findings } = JSON.parse(stdout) as { findings: { id: string; sentence: string }[] };
  expect(status).toBe(4);
  expect(findings.find(({ id }) => id === "no-daemon")).toBeDefined();
  const bad = findings.find(({ id }) => id === "bad-configuration");
  expect(bad?.sentence).toContain("config.toml:1: sendtimeout: ");
});
