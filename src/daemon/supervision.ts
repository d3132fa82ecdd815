import { after, type Duration, milliseconds, scale, seconds } from "../core/time.ts";
import { notifyServiceManager } from "../linux/service-manager.ts";
import type { StatusReply } from "./api.ts";
import type { Clock } from "./clock.ts";

/** How often the status is told where no watchdog asks for more. */
const STATUS_INTERVAL = seconds(15);

/** What a service manager has put into the environment (sd_notify(3), sd_watchdog_enabled(3)). */
export interface ManagerSettings {
  readonly socket: string;
  /** It ends the daemon after this long without a sign of life. */
  readonly watchdog: Duration | undefined;
}

export interface SupervisionParts {
  readonly clock: Clock;
  readonly settings: ManagerSettings;
  /** One line about the daemon at work. */
  readonly describe: () => string;
  readonly warn: (error: Error) => void;
  readonly notify?: (socket: string, assignments: readonly string[]) => void;
}

/** `undefined` without a service manager that wants to be told. */
export function managerSettings(
  environment: NodeJS.ProcessEnv,
  pid: number,
): ManagerSettings | undefined {
  const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: span, WATCHDOG_PID: watched } = environment;
  if (socket === undefined || socket === "") return undefined;
  const isWatched = span !== undefined && (watched === undefined || Number(watched) === pid);
  return { socket, watchdog: isWatched ? milliseconds(Number(span) / 1000) : undefined };
}

/** One line, for `systemctl status`. */
export function describeStatus({
  contexts,
  uplinks,
  warnings,
}: Pick<StatusReply, "contexts" | "uplinks" | "warnings">): string {
  const working = uplinks.filter(({ operational }) => operational).length;
  return (
    `${working} of ${count(uplinks.length, "uplink")} up, ${count(contexts.total, "context")}` +
    (warnings.length === 0 ? "" : `, ${count(warnings.length, "warning")}: see l3shim status`)
  );
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

/** Tells the service manager how the daemon is; a failure to is told once and borne. */
export class Supervision {
  readonly #parts: SupervisionParts;
  #cancelBeat: (() => void) | undefined;
  #failed = false;

  constructor(parts: SupervisionParts) {
    this.#parts = parts;
  }

  /** The daemon is at work. Signs of life follow until it ends. */
  ready(): void {
    this.#notify("READY=1", `STATUS=${this.#parts.describe()}`);
    this.#scheduleBeat();
  }

  stopping(): void {
    this.#end("STOPPING=1", "STATUS=leaving plain IPv6");
  }

  /** This process goes on as another program, which will say that it is ready. */
  handingOver(): void {
    const microseconds = Math.round(this.#parts.clock.now() * 1000);
    this.#end("RELOADING=1", `MONOTONIC_USEC=${microseconds}`, "STATUS=handing over");
  }

  #scheduleBeat(): void {
    const { clock, settings } = this.#parts;
    const interval =
      settings.watchdog === undefined ? STATUS_INTERVAL : scale(settings.watchdog, 1 / 3);
    this.#cancelBeat = clock.schedule(after(clock.now(), interval), () => this.#beat());
  }

  #beat(): void {
    this.#notify("WATCHDOG=1", `STATUS=${this.#parts.describe()}`);
    this.#scheduleBeat();
  }

  #end(...assignments: string[]): void {
    this.#cancelBeat?.();
    this.#notify(...assignments);
  }

  #notify(...assignments: string[]): void {
    const { notify = notifyServiceManager, settings, warn } = this.#parts;
    try {
      notify(settings.socket, assignments);
    } catch (error) {
      if (!this.#failed) warn(error as Error);
      this.#failed = true;
    }
  }
}
