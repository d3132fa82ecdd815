import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readCapture } from "../../src/wire/pcap.ts";
import { A1, A2, B1, Workshop } from "../daemon/fixture.ts";
import { l3shim } from "./capture.ts";
import { run } from "./virtual.ts";

let workshop: Workshop;

beforeEach(() => {
  workshop = new Workshop();
});

afterEach(() => workshop.close());

/** What is captured at the first host while a context is established and explores. */
async function capture(): Promise<string> {
  const [a] = await workshop.createPair();
  const file = join(workshop.directory, "shim.pcapng");
  const over = l3shim("capture", "-w", file, "--socket", a.socket);
  while (!a.daemon.captures.hasReaders) await new Promise(setImmediate);
  a.plane.events.trigger(a.clock.now(), { local: A1, peer: B1 });
  await run(a, "explore", [...a.daemon.contexts()][0]?.localTag ?? "");
  a.clock.advance(1000);
  await a.daemon.stop();
  expect(await over).toMatchObject({ status: 0, stdout: "" });
  return file;
}

test("each message has a comment on its context, cause and change of state", async () => {
  const { packets, error } = readCapture(readFileSync(await capture()));
  expect(error).toBeUndefined();
  const comments = packets.map(({ comment }) =>
    comment?.replace(/context [0-9a-f]{12}/, "context TAG"),
  );
  expect(comments.slice(0, 6)).toMatchInlineSnapshot(`
    [
      "sent I1; context TAG; 2001:db8:a1::a > 2001:db8:b1::b; cause: trigger; state: IDLE -> I1-SENT",
      "received R1; context TAG; 2001:db8:a1::a > 2001:db8:b1::b; cause: the peer sent it; state: I1-SENT -> I2-SENT",
      "sent I2; context TAG; 2001:db8:a1::a > 2001:db8:b1::b; cause: R1 received; state: I2-SENT",
      "received R2; context TAG; 2001:db8:a1::a > 2001:db8:b1::b; cause: the peer sent it; state: I2-SENT -> Operational; established; peer-locators-changed",
      "sent Probe; context TAG; 2001:db8:a1::a > 2001:db8:b1::b; cause: command; state: Operational -> Exploring; exploring: command",
      "received Probe; context TAG; 2001:db8:a1::a > 2001:db8:b1::b; cause: the peer sent it; state: Exploring -> Operational; switched: exploration; recovered",
    ]
  `);
  expect(packets[0]?.timestamp).toBe(0n);
});

test("decode shows the comments", async () => {
  const file = await capture();
  const { stdout } = await l3shim("decode", file);
  expect(stdout).toContain("# sent I1; context ");
  const { packets } = JSON.parse((await l3shim("decode", file, "--json")).stdout) as {
    packets: { comment: string; source: string; kind: string }[];
  };
  expect(packets.every(({ kind, comment }) => kind === "control" && comment !== "")).toBe(true);
  expect(packets.some(({ source }) => source === A2)).toBe(true);
});

test("a file that cannot be written is named", async () => {
  const [a] = await workshop.createPair();
  const argv = ["capture", "-w", "/nonexistent/x.pcapng", "--socket", a.socket];
  const { status, stderr } = await l3shim(...argv);
  expect(status).toBe(1);
  expect(stderr).toContain("cannot write /nonexistent/x.pcapng");
});
