import type { LocalLocator } from "../../core/config.ts";
import type { ContextEvent } from "../../core/output.ts";
import { after, type Duration, type Instant, milliseconds, seconds } from "../../core/time.ts";
import type { ContextView } from "../../core/view.ts";
import type { DataPlane } from "../../dataplane/dataplane.ts";
import type { TcpSession } from "../../linux/socket-diag.ts";
import type { Address } from "../../wire/address.ts";
import type { ContextTag } from "../../wire/tag.ts";
import type { DrillEnd, DrillReport, DrillStart, Warning } from "../api.ts";
import { type Clock, inSeconds, isoTime } from "../clock.ts";
import type { Uplink } from "../host/uplinks.ts";
import { FlowWatch } from "./flow-watch.ts";

/** Payload is looked at so often, or more rarely: a processor has time for so many contexts a ms. */
const LOOK_INTERVAL = milliseconds(20);
const CONTEXTS_PER_MILLISECOND = 50;
/** The plane is told again so often: within its lease, if this process stands still for a moment. */
const RENEW_INTERVAL = milliseconds(500);
/** Sessions that stood still get so long, afterwards, to be seen to go on. */
const PATIENCE = seconds(5);

export interface DrillWish {
  /** Its interface, a locator or a prefix of it. */
  readonly uplink: string;
  readonly duration: Duration;
  readonly as: DrillStart["as"];
  /** Also where no other uplink works. */
  readonly force: boolean;
}

export interface DrillParts {
  readonly clock: Clock;
  readonly plane: Pick<DataPlane, "drill" | "traffic">;
  readonly uplinks: () => readonly Uplink[];
  readonly contexts: () => readonly ContextView[];
  readonly context: (tag: ContextTag) => ContextView | undefined;
  /** TCP connections from a local address. */
  readonly tcpSessions: (local: Address) => readonly TcpSession[];
  /** {@link Drills.shown} gives something else now. */
  readonly locatorsChanged: () => void;
  readonly warn: (error: Error) => void;
}

/** One rehearsal of an uplink's death. */
export class Drill {
  readonly #parts: DrillParts;
  readonly #uplink: Uplink;
  readonly #wish: DrillWish;
  readonly #flows = new Map<ContextTag, FlowWatch>();
  readonly #over = new Gate();
  readonly #undone = new Gate();
  #startedAt: Instant;
  /** Of the wall clock, and the same whenever one asks. */
  #untilTime = "";
  #endedBy: DrillEnd | "abandoned" | undefined;
  #cancelTimers: (() => void)[] = [];

  constructor(parts: DrillParts, uplink: Uplink, wish: DrillWish) {
    this.#parts = parts;
    this.#uplink = uplink;
    this.#wish = wish;
    this.#startedAt = parts.clock.now();
  }

  /** Resolves when the uplink works again. */
  get undone(): Promise<void> {
    return this.#undone.opened;
  }

  /** @throws DataPlaneError */
  async run(started: (start: DrillStart) => void): Promise<DrillReport | undefined> {
    try {
      await this.#kill();
      started(this.#start());
      await this.#over.opened;
    } finally {
      await this.#revive();
    }
    const lasted = inSeconds(this.#parts.clock.now() - this.#startedAt);
    if (this.#endedBy === "abandoned") return undefined;
    await this.#untilSettled();
    return this.#report(lasted);
  }

  /** False when it is over already. */
  end(by: DrillEnd | "abandoned"): boolean {
    if (this.#endedBy !== undefined) return false;
    this.#endedBy = by;
    this.#over.open();
    return true;
  }

  handleEvent(event: ContextEvent): void {
    if (event.event === "exploring") this.#watch(this.#parts.context(event.tag));
    this.#flows.get(event.tag)?.handleEvent(event);
  }

  shown(locators: readonly LocalLocator[]): readonly LocalLocator[] {
    if (this.#wish.as === "silent" || this.#endedBy !== undefined) return locators;
    const own = new Set(this.#uplink.locators.map(({ address }) => address));
    return locators.map((each) => (own.has(each.address) ? { ...each, operational: false } : each));
  }

  warnings(): Warning[] {
    if (this.#endedBy !== undefined || this.#untilTime === "") return [];
    const text = `a drill: the shim treats ${this.#uplink.interface} as dead, until ${this.#untilTime}`;
    return [{ code: "drill", severity: "info", text }];
  }

  get #until(): Instant {
    return after(this.#startedAt, this.#wish.duration);
  }

  async #kill(): Promise<void> {
    const { clock, contexts, plane, locatorsChanged } = this.#parts;
    await plane.drill(this.#uplink);
    this.#startedAt = clock.now();
    this.#untilTime = isoTime(clock, this.#until);
    for (const context of contexts()) {
      const { locators, state } = context;
      if (state === "ESTABLISHED" && this.#isOwn(locators.local)) this.#watch(context);
    }
    if (this.#wish.as === "link-down") locatorsChanged();
    this.#repeat(this.#lookInterval, () => this.#look());
    this.#repeat(RENEW_INTERVAL, () => this.#renew());
    this.#cancelTimers.push(clock.schedule(this.#until, () => this.end("time")));
  }

  /** Safe also when the plane did not kill it. */
  async #revive(): Promise<void> {
    const { clock, plane, locatorsChanged } = this.#parts;
    this.#cancel();
    this.#endedBy ??= "abandoned";
    try {
      await plane.drill(undefined);
    } finally {
      for (const flow of this.#flows.values()) flow.end(clock.now());
      if (this.#wish.as === "link-down") locatorsChanged();
      this.#undone.open();
    }
  }

  async #untilSettled(): Promise<void> {
    const { clock } = this.#parts;
    const settled = new Gate();
    const lookAgain = (): void => {
      this.#look();
      if ([...this.#flows.values()].every(({ isSettled }) => isSettled)) settled.open();
    };
    this.#repeat(this.#lookInterval, lookAgain);
    this.#cancelTimers.push(clock.schedule(after(clock.now(), PATIENCE), () => settled.open()));
    await settled.opened;
    this.#cancel();
  }

  /** Also a context whose packets come in by this uplink and leave by another. */
  #watch(context: ContextView | undefined): void {
    if (context === undefined || this.#flows.has(context.tag)) return;
    const traffic = this.#parts.plane.traffic(context.tag);
    if (traffic === undefined) return;
    this.#flows.set(context.tag, new FlowWatch(context, traffic, this.#startedAt));
  }

  #look(): void {
    for (const [tag, flow] of this.#flows) {
      const traffic = this.#parts.plane.traffic(tag);
      if (traffic !== undefined) flow.look(traffic);
    }
  }

  #renew(): void {
    this.#parts.plane.drill(this.#uplink).catch((error: unknown) => {
      this.#parts.warn(error as Error);
      this.end("abandoned");
    });
  }

  get #lookInterval(): Duration {
    const needed = this.#flows.size / CONTEXTS_PER_MILLISECOND;
    return milliseconds(Math.max(LOOK_INTERVAL, needed));
  }

  #repeat(interval: Duration, action: () => void): void {
    const { clock } = this.#parts;
    let cancel: () => void;
    const arm = (): void => {
      cancel = clock.schedule(after(clock.now(), interval), () => {
        arm();
        action();
      });
    };
    arm();
    this.#cancelTimers.push(() => cancel());
  }

  #cancel(): void {
    for (const cancel of this.#cancelTimers) cancel();
    this.#cancelTimers = [];
  }

  #start(): DrillStart {
    return {
      event: "started",
      uplink: this.#uplink.interface,
      as: this.#wish.as,
      until: this.#untilTime,
      flows: this.#flows.size,
      unprotected: this.#unprotected(),
    };
  }

  #report(lasted: number): DrillReport {
    const { clock } = this.#parts;
    return {
      uplink: this.#uplink.interface,
      as: this.#wish.as,
      startedAt: isoTime(clock, this.#startedAt),
      lasted,
      endedBy: this.#endedBy === "command" ? "command" : "time",
      flows: [...this.#flows.values()].map((flow) => flow.report()),
      unprotected: this.#unprotected(),
    };
  }

  /** They are left alone, and would die with the uplink. */
  #unprotected(): DrillStart["unprotected"] {
    const { contexts, tcpSessions } = this.#parts;
    const pairs = new Set(contexts().map(({ ulids: { local, peer } }) => `${local} ${peer}`));
    return this.#uplink.locators
      .flatMap(({ address }) => tcpSessions(address))
      .filter(({ local, peer }) => !pairs.has(`${local} ${peer}`));
  }

  #isOwn(locator: Address): boolean {
    return this.#uplink.locators.some(({ address }) => address === locator);
  }
}

/** Whoever waits goes on once it is open. */
class Gate {
  open!: () => void;
  readonly opened = new Promise<void>((resolve) => {
    this.open = resolve;
  });
}
