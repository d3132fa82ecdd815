import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { ContextEvent } from "../../core/output.ts";
import type { TrafficSnapshot } from "../../core/traffic.ts";
import type { ContextView } from "../../core/view.ts";
import { METHOD_CGA, METHOD_HBA } from "../../identity/methods.ts";
import type { Address } from "../../wire/address.ts";
import { messageTypeOf } from "../../wire/control.ts";
import type { ContextTag } from "../../wire/tag.ts";
import type { StatusReply } from "../api.ts";
import { type Amount, PathTraffic } from "./path-traffic.ts";

/** What a scrape looks at. */
export interface MetricsSource {
  status(): Omit<StatusReply, "schemaVersion">;
  contexts(): readonly ContextView[];
  traffic(tag: ContextTag): TrafficSnapshot | undefined;
  /** The interface of one of the host's addresses; `null` where none has it any more. */
  interfaceOf(address: Address): string | null;
}

export interface MetricsText {
  readonly contentType: string;
  readonly text: string;
}

/** Seconds: from the first retransmission of TCP to what a user takes for dead. */
const BUCKETS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60, 120, 300];
const NO_INTERFACE = "none";

/**
 * What Prometheus is told. Labels have few values, whoever the peers are: never a tag or a
 * peer's address. Counts are since the start of the daemon, and outlive contexts.
 */
export class Metrics {
  readonly #source: MetricsSource;
  /** A registry speaks one format. */
  readonly #plain = new Registry();
  readonly #open = new Registry<typeof Registry.OPENMETRICS_CONTENT_TYPE>();
  readonly #traffic = new PathTraffic((path, amount) => this.#addTraffic(path, amount));

  /** With their names: prom-client takes "_total" from them as it renders OpenMetrics, for good. */
  readonly #counters = new Map<{ name: string }, string>();

  readonly #contexts = this.#gauge("contexts", "Contexts there are", [
    ...["state", "reap_state", "verification", "interface"],
  ]);
  readonly #uplinks = this.#gauge("uplink_up", "Whether an uplink works (1) or not (0)", [
    "interface",
  ]);
  readonly #warnings = this.#gauge("warning", "Things that a user should know or change", [
    ...["code", "severity"],
  ]);
  readonly #build = this.#gauge("build_info", "Release and data plane of the daemon", [
    ...["version", "dataplane"],
  ]);
  readonly #sendTimeout = this.#gauge("send_timeout_seconds", "The Send Timeout", []);
  readonly #handshakes = this.#counter("handshakes", "Attempts to establish a context", [
    "outcome",
  ]);
  readonly #explorations = this.#counter("explorations", "Searches for another locator pair", [
    "cause",
  ]);
  readonly #switches = this.#counter("switches", "Contexts that moved to another locator pair", [
    "cause",
  ]);
  readonly #closed = this.#counter("contexts_closed", "Contexts forgotten", ["cause"]);
  readonly #detection = this.#histogram(
    "detection_seconds",
    "From the last sign of life on a locator pair to the begin of the exploration",
  );
  readonly #exploration = this.#histogram(
    "exploration_seconds",
    "From the begin of an exploration to a pair that works both ways",
  );
  readonly #messages = this.#counter("control_messages", "Shim6 control messages", [
    ...["direction", "type"],
  ]);
  readonly #drops = this.#counter("drops", "Packets dropped", ["part", "reason"]);
  readonly #counts = this.#counter("events", "All else that is counted", ["part", "event"]);
  readonly #repairs = this.#counter("repairs", "Rules, routes and addresses put back", []);
  readonly #packets = this.#counter("payload_packets", "Payload of contexts", [
    ...["interface", "direction"],
  ]);
  readonly #bytes = this.#counter("payload_bytes", "Octets of payload of contexts", [
    ...["interface", "direction"],
  ]);

  constructor(source: MetricsSource) {
    this.#source = source;
    this.#open.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
  }

  noteEvent(event: ContextEvent): void {
    switch (event.event) {
      case "established":
        this.#handshakes.inc({ outcome: "established" });
        return this.#noteStart(event.tag, event.locators.local, undefined);
      case "restored":
        return this.#noteStart(event.tag, event.locators.local, this.#source.traffic(event.tag));
      case "failed":
        return this.#handshakes.inc({ outcome: event.cause });
      case "exploring":
        return this.#explorations.inc({ cause: event.cause });
      case "switched":
        this.#switches.inc({ cause: event.cause });
        return this.#noteStart(event.tag, event.to.local, this.#source.traffic(event.tag));
      case "recovered":
        this.#detection.observe(event.detection / 1000);
        return this.#exploration.observe(event.exploration / 1000);
      case "closed":
        return this.#closed.inc({ cause: event.cause });
      default:
        return undefined;
    }
  }

  /** @param bytes of the control message */
  noteMessage(direction: "sent" | "received", bytes: Uint8Array): void {
    this.#messages.inc({ direction, type: messageTypeOf(bytes) ?? "Unknown" });
  }

  noteCleared(tag: ContextTag, traffic: TrafficSnapshot | undefined): void {
    this.#traffic.forget(tag, traffic);
  }

  /** @param accept the header of that name: OpenMetrics where it is asked for */
  async text(accept = ""): Promise<MetricsText> {
    this.#readAll();
    for (const [counter, name] of this.#counters) counter.name = name;
    const registry = accept.includes("application/openmetrics-text") ? this.#open : this.#plain;
    return { contentType: registry.contentType, text: await registry.metrics() };
  }

  #noteStart(tag: ContextTag, local: Address, traffic: Amount | undefined): void {
    this.#traffic.goesBy(tag, this.#interfaceOf(local), traffic);
  }

  #interfaceOf(address: Address): string {
    return this.#source.interfaceOf(address) ?? NO_INTERFACE;
  }

  #addTraffic(path: string, { packetsOut, packetsIn, bytesOut, bytesIn }: Amount): void {
    this.#packets.inc({ interface: path, direction: "out" }, packetsOut);
    this.#packets.inc({ interface: path, direction: "in" }, packetsIn);
    this.#bytes.inc({ interface: path, direction: "out" }, bytesOut);
    this.#bytes.inc({ interface: path, direction: "in" }, bytesIn);
  }

  #readAll(): void {
    this.#readContexts();
    const { version, dataplane, sendTimeout, uplinks, warnings, counters } = this.#source.status();
    for (const gauge of [this.#uplinks, this.#warnings, this.#build]) gauge.reset();
    this.#build.set({ version, dataplane }, 1);
    this.#sendTimeout.set(sendTimeout);
    for (const uplink of uplinks) {
      this.#uplinks.set({ interface: uplink.interface }, uplink.operational ? 1 : 0);
    }
    for (const { code, severity } of warnings) this.#warnings.inc({ code, severity });
    this.#readCounters(counters);
  }

  #readContexts(): void {
    this.#contexts.reset();
    for (const view of this.#source.contexts()) {
      this.#traffic.read(view.tag, this.#source.traffic(view.tag));
      this.#contexts.inc({
        state: view.state,
        reap_state: view.reapState ?? "none",
        verification: verificationOf(view),
        interface: this.#interfaceOf(view.locators.local),
      });
    }
  }

  /** These are counted elsewhere, and only ever grow. */
  #readCounters(counters: StatusReply["counters"]): void {
    for (const counter of [this.#drops, this.#counts, this.#repairs]) counter.reset();
    for (const [part, counts] of Object.entries(counters)) {
      for (const [name, count] of Object.entries(counts)) {
        if (name === "repaired") this.#repairs.inc(count);
        else if (name.startsWith("drop-")) this.#drops.inc({ part, reason: name.slice(5) }, count);
        else this.#counts.inc({ part, event: name }, count);
      }
    }
  }

  get #registers(): Registry[] {
    return [this.#plain, this.#open as unknown as Registry];
  }

  #counter<Label extends string>(name: string, help: string, labelNames: Label[]): Counter<Label> {
    const full = `l3shim_${name}_total`;
    const counter = new Counter({ name: full, help, labelNames, registers: this.#registers });
    this.#counters.set(counter as unknown as { name: string }, full);
    return counter;
  }

  #gauge<Label extends string>(name: string, help: string, labelNames: Label[]): Gauge<Label> {
    return new Gauge({ name: `l3shim_${name}`, help, labelNames, registers: this.#registers });
  }

  #histogram(name: string, help: string): Histogram {
    const registers = this.#registers;
    return new Histogram({ name: `l3shim_${name}`, help, buckets: BUCKETS, registers });
  }
}

/** How the peer has proven the locator in use; its ULID needs no proof. */
function verificationOf({ peerLocators, locators, ulids }: ContextView): string {
  if (locators.peer === ulids.peer) return "ulid";
  const method = peerLocators.find(({ address }) => address === locators.peer)?.method;
  if (method === METHOD_HBA) return "hba";
  return method === METHOD_CGA ? "cga" : "unverified";
}
