import type { LocalLocator } from "../core/config.ts";
import type { Endpoint } from "../core/endpoint.ts";
import type { AddressPair, ContextEvent, HostSuspicion } from "../core/output.ts";
import type { Duration, Instant } from "../core/time.ts";
import type { ContextView, Pin } from "../core/view.ts";
import type { DataPlane } from "../dataplane/dataplane.ts";
import type { OpenPackets } from "../linux/packet-socket.ts";
import type { TcpSession } from "../linux/socket-diag.ts";
import type { Address } from "../wire/address.ts";
import { decodeControl } from "../wire/control.ts";
import { failure, type Result } from "../wire/result.ts";
import { type ContextTag, formatTag } from "../wire/tag.ts";
import type {
  ContextStatus,
  Fork,
  HistoryReply,
  HostLocator,
  MessageEvent,
  PairStatus,
  PeerSurvey,
  StatusReply,
  Warning,
} from "./api.ts";
import { CaptureHub } from "./capture/capture-hub.ts";
import { type Check, checkAtWork } from "./check/check.ts";
import type { EchoSystem } from "./check/echoes.ts";
import type { HostFacts } from "./check/host-facts.ts";
import { PeerSurveys, type SurveyWish } from "./check/peer-surveys.ts";
import { type Clock, inSeconds, isoTime } from "./clock.ts";
import { configWarnings, type DaemonConfig, sendTimeoutWarnings } from "./config/config.ts";
import type { ContextFiles } from "./contexts/context-files.ts";
import { ContextKeeper } from "./contexts/context-keeper.ts";
import type { Authority } from "./control/authority.ts";
import { EventHub, monitorEvent } from "./control/events.ts";
import { type ForkOrder, forkContexts, pinPair, preferPair } from "./control/forks.ts";
import { pairStatuses } from "./control/pairs.ts";
import {
  contextStatus,
  countContexts,
  hostLocators,
  triggerStatus,
  uplinkStatus,
} from "./control/report.ts";
import { ControlServer } from "./control/server.ts";
import type { ControlService } from "./control/service.ts";
import { Drills } from "./drill/drills.ts";
import { Driver, type DriverObserver, type SendOutput } from "./driver.ts";
import { Conditions } from "./history/conditions.ts";
import type { HistoryQuery } from "./history/history.ts";
import { Paths } from "./history/paths.ts";
import type { Hooks } from "./hooks.ts";
import { Host, type HostSystem } from "./host/host.ts";
import type { Uplink } from "./host/uplinks.ts";
import { proofOf, proofWarnings } from "./identity/proof.ts";
import { type Logger, logContextEvent } from "./log.ts";
import { Metrics, type MetricsText } from "./metrics/metrics.ts";
import { SuspendWatch } from "./suspend-watch.ts";

/** What a daemon is made of; tests bring their own. */
export interface DaemonParts {
  readonly config: DaemonConfig;
  readonly version: string;
  readonly clock: Clock;
  /** A clock that goes on while the machine sleeps. */
  readonly bootTime: () => Instant;
  readonly endpoint: Endpoint;
  readonly plane: DataPlane;
  readonly system: HostSystem;
  /** Looks at the host for a check. */
  readonly readFacts: (uplinks: readonly Uplink[]) => Promise<HostFacts>;
  /** Tries whether paths carry anything at all. */
  readonly echoes: EchoSystem;
  readonly contextFiles: ContextFiles;
  /** TCP connections of this host from a local address. */
  readonly tcpSessions: (local: Address) => readonly TcpSession[];
  /** Sees payload for captures. */
  readonly openPackets: OpenPackets;
  /** Who may change something by the control socket. */
  readonly authority: Authority;
  readonly log: Logger;
  /** Programs that are told of events. */
  readonly hooks?: Hooks;
  /** Called once when the daemon cannot go on; whoever started it must stop it. */
  failed(error: Error): void;
}

const STOPPING = "the daemon is stopping";

/** One running shim: endpoint, data plane, host and control API together. */
export class Daemon implements ControlService {
  readonly events: EventHub;
  readonly captures: CaptureHub;
  readonly #parts: DaemonParts;
  readonly #driver: Driver;
  readonly #host: Host;
  readonly #server: ControlServer;
  readonly #keeper: ContextKeeper;
  readonly #suspendWatch: SuspendWatch;
  readonly #surveys: PeerSurveys;
  readonly #drills: Drills;
  readonly #startedAt: Instant;
  readonly #metrics: Metrics;
  readonly #paths: Paths;
  readonly #conditions = new Conditions();
  readonly #counters = { "send-failed": 0, "host-warning": 0 };

  constructor(parts: DaemonParts) {
    const { config, clock, endpoint, plane, system, log } = parts;
    this.#parts = parts;
    this.#startedAt = clock.now();
    this.events = new EventHub(clock);
    this.#paths = new Paths(clock);
    this.#driver = new Driver(endpoint, plane, clock, this.#driverObserver());
    this.#host = new Host(config, system, {
      looked: () => this.#lookAtConditions(),
      locatorsChanged: (locators) => this.#handleLocators(locators),
      addressesChosen: (addresses) => log.info({ addresses }, "own addresses"),
      warning: (error) => this.#warn(error),
      repairPlane: () => plane.repair(),
      routerLost: (locators) => this.#suspect(locators, "router-lost"),
      failed: (error) => parts.failed(error),
    });
    this.#suspendWatch = new SuspendWatch(clock, parts.bootTime, () => this.#handleResume());
    this.#surveys = new PeerSurveys({
      ...{ endpoint, clock, echoes: parts.echoes },
      run: (command) => this.#driver.run(command),
    });
    this.captures = new CaptureHub({
      ...{ clock, udpPort: config.encapsulation?.port, openPackets: parts.openPackets },
      contexts: () => endpoint.contexts(),
      context: (tag) => endpoint.context(tag),
      interfaceOf: (address) => interfaceOf(address, this.#host),
      uplinks: () => this.#host.uplinks,
      warn: (error) => this.#warn(error),
    });
    this.#drills = new Drills({
      ...{ clock, plane, tcpSessions: parts.tcpSessions },
      uplinks: () => this.#host.uplinks,
      contexts: () => endpoint.contexts(),
      context: (tag) => endpoint.context(tag),
      locatorsChanged: () => this.#handleLocators(this.#host.locators),
      warn: (error) => this.#warn(error),
    });
    this.#server = new ControlServer(this, parts.authority);
    this.#metrics = new Metrics({
      status: () => this.status(),
      contexts: () => endpoint.contexts(),
      traffic: (tag) => plane.traffic(tag),
      interfaceOf: (address) => interfaceOf(address, this.#host),
    });
    if (parts.hooks !== undefined) this.events.subscribe(parts.hooks);
    this.#keeper = new ContextKeeper({
      files: parts.contextFiles,
      endpoint,
      plane,
      clock,
      warn: (error) => this.#warn(error),
    });
  }

  /**
   * Starts everything, and goes on with the contexts of an earlier run where the data plane has
   * done so. Of two daemons on one socket the second ends before it has touched the
   * host; and whoever finds the socket finds a daemon at work.
   * @param socket path of the control socket
   */
  async start(socket: string): Promise<void> {
    const { config, log, plane, version } = this.#parts;
    await this.#server.claim(socket);
    const kept = this.#keeper.load();
    this.#host.start(kept.map(({ localUlid }) => localUlid));
    await this.#driver.start((now) => this.#keeper.restore(now));
    this.#host.settle();
    this.#suspendWatch.start();
    await this.#server.listen(socket, config.controlReaders);
    if (config.http !== undefined) await this.#server.listenLoopback(config.http);
    log.info({ version, dataplane: plane.name, socket }, "started");
    for (const { code, text } of configWarnings(config)) log.warn({ code }, text);
  }

  /** Leaves plain IPv6 and the host as it was. Safe to call twice and after a failed start. */
  async stop(): Promise<void> {
    this.#suspendWatch.stop();
    await this.#drills.stop();
    // The data plane first: nothing may be rewritten to addresses that are on their way out.
    try {
      await this.#driver.stop();
    } finally {
      this.#host.stop();
      this.#keeper.discard();
      await this.#server.close();
    }
  }

  /**
   * Ends at once and leaves everything in force for a successor, if the data plane can go on by
   * itself; otherwise the same as `stop`.
   */
  async release(): Promise<void> {
    const { log, plane } = this.#parts;
    if (!plane.survives) {
      log.warn({ dataplane: plane.name }, "this data plane cannot go on without the daemon");
      return this.stop();
    }
    this.#suspendWatch.stop();
    await this.#drills.stop();
    this.#keeper.close();
    try {
      await this.#driver.release();
    } finally {
      this.#host.release();
      await this.#server.close();
    }
  }

  status(): Omit<StatusReply, "schemaVersion"> {
    const { clock, config, endpoint, plane, version } = this.#parts;
    const { uplinks } = this.#host;
    const { sendTimeout } = endpoint;
    return {
      version,
      pid: process.pid,
      startedAt: isoTime(clock, this.#startedAt),
      uptime: inSeconds(clock.now() - this.#startedAt),
      dataplane: plane.name,
      security: config.security,
      sendTimeout: inSeconds(sendTimeout),
      detect: config.detect,
      trigger: triggerStatus(config.trigger),
      contexts: countContexts(endpoint.outlines()),
      uplinks: uplinks.map(uplinkStatus),
      warnings: this.#warnings(),
      counters: {
        endpoint: endpoint.counters,
        dataplane: plane.counters,
        daemon: {
          ...this.#counters,
          repaired: this.#host.repaired,
          ...this.#parts.hooks?.counters,
        },
      },
    };
  }

  async check(): Promise<Check> {
    const { config, endpoint, plane, readFacts } = this.#parts;
    const facts = await readFacts(this.#host.uplinks);
    const offered = this.#host.locators.filter(
      ({ address, operational }) =>
        operational &&
        (config.security === "unverified" || proofOf(address, this.#host.locators) !== null),
    );
    return checkAtWork(facts, {
      ...{ config, dataplane: plane.name, sendTimeout: endpoint.sendTimeout },
      ...{ locators: offered.length, warnings: this.#warnings() },
    });
  }

  *contexts(offset = 0, limit = Number.POSITIVE_INFINITY): Generator<ContextStatus, void> {
    for (const { tag } of this.#parts.endpoint.outlines().slice(offset, offset + limit)) {
      const status = this.context(tag);
      if (status !== undefined) yield status;
    }
  }

  context(tag: ContextTag): ContextStatus | undefined {
    const view = this.#parts.endpoint.context(tag);
    return view && this.#contextStatus(view);
  }

  pairs(tag: ContextTag): PairStatus[] {
    const view = this.#parts.endpoint.context(tag);
    return view === undefined ? [] : pairStatuses(view, this.#parts.clock);
  }

  locators(): HostLocator[] {
    return hostLocators(this.#host.uplinks, this.#parts.endpoint.outlines(), this.#host.locators);
  }

  history(query: HistoryQuery): Omit<HistoryReply, "schemaVersion"> {
    const { clock } = this.#parts;
    const { history } = this.events;
    return {
      startedAt: isoTime(clock, this.#startedAt),
      time: isoTime(clock, clock.now()),
      monotonic: inSeconds(clock.now()),
      dropped: history.dropped,
      events: history.select(query),
    };
  }

  metrics(accept: string | undefined): Promise<MetricsText> {
    return this.#metrics.text(accept);
  }

  open(ulids: AddressPair): boolean {
    return this.#driver.run((endpoint, now) => endpoint.open(now, ulids)) ?? false;
  }

  explore(tag: ContextTag): boolean {
    return this.#driver.run((endpoint, now) => endpoint.explore(now, tag)) ?? false;
  }

  close(tag: ContextTag): boolean {
    return this.#driver.run((endpoint, now) => endpoint.close(now, tag)) ?? false;
  }

  fork(order: ForkOrder): Result<Fork[], string> {
    const run = (endpoint: Endpoint, now: Instant) => forkContexts(endpoint, now, order);
    return this.#driver.run(run) ?? failure(STOPPING);
  }

  prefer(tag: ContextTag, pair: AddressPair | undefined): Result<true, string> {
    const run = (endpoint: Endpoint, now: Instant) => preferPair(endpoint, now, tag, pair);
    return this.#driver.run(run) ?? failure(STOPPING);
  }

  pin(tag: ContextTag, pair: AddressPair | undefined, pin: Pin): Result<true, string> {
    const run = (endpoint: Endpoint, now: Instant) => pinPair(endpoint, now, tag, pair, pin);
    return this.#driver.run(run) ?? failure(STOPPING);
  }

  survey(wish: SurveyWish): Promise<Result<PeerSurvey, string>> {
    return this.#surveys.survey(wish);
  }

  drill(...drill: Parameters<Drills["run"]>): ReturnType<Drills["run"]> {
    return this.#drills.run(...drill);
  }

  endDrill(): boolean {
    return this.#drills.end();
  }

  unpin(tag: ContextTag): boolean {
    return this.#driver.run((endpoint, now) => endpoint.unpin(now, tag)) ?? false;
  }

  setSendTimeout(sendTimeout: Duration): Warning[] {
    this.#driver.run((endpoint, now) => endpoint.setSendTimeout(now, sendTimeout));
    this.#parts.log.info({ sendTimeout: inSeconds(sendTimeout) }, "send timeout set");
    this.#lookAtConditions();
    return sendTimeoutWarnings(sendTimeout);
  }

  #warnings(): Warning[] {
    const { config, endpoint } = this.#parts;
    return [
      ...configWarnings({ ...config, sendTimeout: endpoint.sendTimeout }),
      ...proofWarnings(config.security, this.#host.locators),
      ...this.#host.warnings(),
      ...this.#drills.warnings(),
    ];
  }

  #contextStatus(view: ContextView): ContextStatus {
    const { clock, plane } = this.#parts;
    const { tag } = view;
    const found = this.#surveys.found(tag);
    return contextStatus(view, plane.traffic(tag), clock, found, this.#paths.of(view));
  }

  #driverObserver(): DriverObserver {
    return {
      stepBegan: (cause) => this.captures.stepBegan(cause),
      event: (event) => this.#handleEvent(event),
      controlSent: (now, output) => {
        this.captures.sent(now, output, output.message.type, output.tag);
        this.#metrics.noteMessage("sent", output.bytes);
        this.#showSent(now, output);
      },
      controlReceived: (now, source, destination, bytes, encapsulated = false) => {
        this.captures.received(now, { source, destination, bytes, encapsulated });
        this.#metrics.noteMessage("received", bytes);
        this.#showReceived(now, source, destination, bytes);
      },
      sendFailed: (output, error) => this.#handleSendFailure(output, error),
      contextSet: (tag, ulids) => this.#host.hold(tag, ulids.local),
      contextCleared: (tag, traffic) => {
        this.#metrics.noteCleared(tag, traffic);
        this.#host.letGo(tag);
      },
      contextChanged: (tag) => this.#keeper.note(tag),
      surveyed: (survey, pairs) => this.#surveys.handleSurveyed(survey, pairs),
      stepEnded: () => {
        this.captures.flush();
        this.#keeper.save();
      },
      mappingInForce: () => this.#host.dropStranded(),
      failed: (error) => this.#parts.failed(error),
    };
  }

  #handleEvent(event: ContextEvent): void {
    const { clock, endpoint } = this.#parts;
    this.#surveys.handleEvent(event);
    this.#drills.handleEvent(event);
    this.captures.handleEvent(event);
    this.#metrics.noteEvent(event);
    this.#paths.handleEvent(event);
    const forkedInstance = endpoint.context(event.tag)?.forkedInstance ?? 0;
    const shown = monitorEvent(event, forkedInstance, clock);
    this.events.publish(event.at, shown);
    logContextEvent(this.#parts.log, shown);
  }

  #lookAtConditions(): void {
    for (const change of this.#conditions.look(this.#host.uplinks, this.#warnings())) {
      this.events.publish(this.#parts.clock.now(), change);
    }
  }

  #handleLocators(present: readonly LocalLocator[]): void {
    const { clock, log } = this.#parts;
    const locators = this.#drills.shown(present);
    const shown = locators.map(({ address, operational }) => ({
      address,
      interface: interfaceOf(address, this.#host),
      operational,
    }));
    const event = "host-locators-changed";
    this.events.publish(clock.now(), { event, context: null, locators: shown });
    log.info({ locators: shown }, "locators changed");
    this.#driver.run((endpoint, now) => endpoint.handleLocalLocators(now, locators));
  }

  /** Whatever was true before the machine slept may not be any more. */
  #handleResume(): void {
    const { endpoint } = this.#parts;
    this.#suspect(
      endpoint.localLocators.map(({ address }) => address),
      "resumed",
    );
  }

  /** Sessions from these addresses look for another path before a timer of theirs runs out. */
  #suspect(locals: readonly Address[], cause: HostSuspicion): void {
    this.#parts.log.info({ locators: locals, cause }, "paths may be dead");
    this.#driver.run((endpoint, now) => endpoint.handleHostSuspicion(now, locals, cause));
  }

  #handleSendFailure({ source, destination }: SendOutput, error: Error): void {
    this.#counters["send-failed"] += 1;
    this.#parts.log.debug({ source, destination, error: error.message }, "cannot send");
  }

  #warn(error: Error): void {
    this.#counters["host-warning"] += 1;
    this.#parts.log.warn(error.message);
    const text = error.message;
    this.events.publish(this.#parts.clock.now(), { event: "host-warning", context: null, text });
  }

  #showSent(now: Instant, { source, destination, bytes, message, tag }: SendOutput): void {
    if (!this.#wantsMessages()) return;
    this.#showMessage(now, {
      event: "message",
      context: tag === undefined ? null : formatTag(tag),
      direction: "sent",
      type: message.type,
      source,
      destination,
      length: bytes.length,
    });
  }

  #showReceived(now: Instant, source: Address, destination: Address, bytes: Uint8Array): void {
    if (!this.#wantsMessages()) return;
    const decoded = decodeControl(bytes);
    const message = decoded.ok ? decoded.value.message : undefined;
    const tag = message && "receiverContextTag" in message ? message.receiverContextTag : undefined;
    this.#showMessage(now, {
      event: "message",
      context: tag === undefined ? null : formatTag(tag),
      direction: "received",
      type: message?.type ?? "Malformed",
      source,
      destination,
      length: bytes.length,
    });
  }

  #wantsMessages(): boolean {
    return this.events.wantsMessages || this.#parts.log.isLevelEnabled("debug");
  }

  #showMessage(now: Instant, message: MessageEvent): void {
    this.events.publish(now, message);
    const { event: _event, direction, type, ...details } = message;
    this.#parts.log.debug(details, `${type} ${direction}`);
  }
}

function interfaceOf(address: Address, host: Host): string | null {
  const uplink = host.uplinks.find(({ locators }) =>
    locators.some((locator) => locator.address === address),
  );
  return uplink?.interface ?? null;
}
