import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { B1, type TestDaemon, Workshop } from "./fixture.ts";

const DASHBOARD = new URL("../../packaging/grafana/l3shim.json", import.meta.url);
const RULES = new URL("../../packaging/prometheus/l3shim-rules.yml", import.meta.url);

let workshop: Workshop;

beforeEach(() => {
  workshop = new Workshop();
});

afterEach(() => workshop.close());

/** Each sample by its name and labels. */
async function scrape({ daemon }: TestDaemon): Promise<Map<string, number>> {
  const { text } = await daemon.metrics(undefined);
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(lines.map((line) => [line.replace(/ \S+$/, ""), Number(line.split(" ").at(-1))]));
}

/** A context of A's explores and moves to its other uplink, as B's answers let it. */
async function failOver() {
  const made = await workshop.establish();
  const { a } = made;
  const [record] = a.plane.records.values();
  record?.out(a.clock.now(), 1000);
  const sent = a.plane.sendControl.bind(a.plane);
  a.plane.sendControl = (source, destination, bytes) => {
    if (destination !== B1) sent(source, destination, bytes);
  };
  a.clock.advance(20_000);
  record?.in(a.clock.now(), 50);
  return made;
}

describe("what Prometheus is told", () => {
  test("counts contexts by state, uplink and verification, and what they carry by uplink", async () => {
    const { a } = await workshop.establish();
    const [record] = a.plane.records.values();
    record?.out(a.clock.now(), 100);
    record?.in(a.clock.now(), 40);

    const samples = await scrape(a);

    const labels = 'state="ESTABLISHED",reap_state="Operational",verification="ulid"';
    expect(samples.get(`l3shim_contexts{${labels},interface="up0"}`)).toBe(1);
    expect(samples.get('l3shim_handshakes_total{outcome="established"}')).toBe(1);
    expect(samples.get('l3shim_payload_bytes_total{interface="up0",direction="out"}')).toBe(100);
    expect(samples.get('l3shim_payload_packets_total{interface="up0",direction="in"}')).toBe(1);
    expect(samples.get('l3shim_uplink_up{interface="up0"}')).toBe(1);
    expect(samples.get('l3shim_control_messages_total{direction="sent",type="I1"}')).toBe(1);
  });

  test("tells how a failover went, and which uplink carried what", async () => {
    const { a } = await failOver();

    const samples = await scrape(a);

    expect(samples.get('l3shim_explorations_total{cause="send-timeout"}')).toBeGreaterThan(0);
    expect(samples.get('l3shim_switches_total{cause="exploration"}')).toBeGreaterThan(0);
    expect(samples.get("l3shim_exploration_seconds_count")).toBeGreaterThan(0);
    expect(samples.get('l3shim_detection_seconds_bucket{le="15"}')).toBeGreaterThan(0);
    expect(samples.get('l3shim_payload_bytes_total{interface="up0",direction="out"}')).toBe(1000);
    expect(samples.get('l3shim_payload_bytes_total{interface="up1",direction="in"}')).toBe(50);
  });

  test("keeps what contexts carried when they are gone", async () => {
    const { a, tag } = await workshop.establish();
    const [record] = a.plane.records.values();
    record?.out(a.clock.now(), 70);
    a.daemon.close(Number.parseInt(tag, 16) as never);

    const samples = await scrape(a);

    expect(samples.get('l3shim_payload_bytes_total{interface="up0",direction="out"}')).toBe(70);
    expect(samples.get('l3shim_contexts_closed_total{cause="command"}')).toBe(1);
    expect([...samples.keys()].filter((name) => name.startsWith("l3shim_contexts{"))).toEqual([]);
  });

  test("never names a peer or a tag: labels stay few", async () => {
    const { a, tag } = await failOver();

    const { text } = await a.daemon.metrics(undefined);

    expect(text).not.toContain("2001:db8");
    expect(text).not.toContain(tag);
  });

  test("has nothing that promtool finds fault with", async () => {
    const { a } = await failOver();
    await a.daemon.metrics("application/openmetrics-text");
    const { contentType, text } = await a.daemon.metrics("text/plain");

    expect(contentType).toContain("text/plain");
    expect(execFileSync("promtool", ["check", "metrics"], { input: text }).toString()).toBe("");
  });

  test("is OpenMetrics for whom takes it", async () => {
    const { a } = await failOver();
    const { contentType, text } = await a.daemon.metrics(
      "application/openmetrics-text;version=1.0.0,text/plain;q=0.5",
    );

    expect(contentType).toContain("application/openmetrics-text");
    expect(text).toMatch(/^# TYPE l3shim_switches counter$/m);
    expect(text).toMatch(/^l3shim_switches_total\{cause="exploration"\} \d+$/m);
    expect(text).toMatch(/\n# EOF\n$/);
  });
});

test("dashboard and alert rules name only what there is, and the rules are right", async () => {
  const { a } = await failOver();
  const names = new Set([...(await scrape(a)).keys()].map((name) => name.replace(/\{.*/, "")));
  const texts = [DASHBOARD, RULES].map((file) => readFileSync(file, "utf8")).join("\n");
  const named = new Set(texts.match(/\bl3shim_\w+/g));

  expect([...named].filter((name) => !names.has(name) && name !== "l3shim_warning")).toEqual([]);
  const checked = execFileSync("promtool", ["check", "rules", RULES.pathname]).toString();
  expect(checked).toContain("SUCCESS: 6 rules found");
});
