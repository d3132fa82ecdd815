import type { AddressPair } from "../../core/output.ts";
import type { Duration } from "../../core/time.ts";
import type { Pin } from "../../core/view.ts";
import type { Result } from "../../wire/result.ts";
import type { ContextTag } from "../../wire/tag.ts";
import type {
  ContextStatus,
  Fork,
  HistoryReply,
  HostLocator,
  PairStatus,
  PeerSurvey,
  StatusReply,
  Warning,
} from "../api.ts";
import type { CaptureHub } from "../capture/capture-hub.ts";
import type { Check } from "../check/check.ts";
import type { SurveyWish } from "../check/peer-surveys.ts";
import type { Drills } from "../drill/drills.ts";
import type { HistoryQuery } from "../history/history.ts";
import type { MetricsText } from "../metrics/metrics.ts";
import type { EventHub } from "./events.ts";
import type { ForkOrder } from "./forks.ts";

/** What the control API can ask of the daemon. */
export interface ControlService {
  status(): Omit<StatusReply, "schemaVersion">;
  check(): Promise<Check>;
  /**
   * Those that there are when the first is asked for, each as it is when its turn comes; what has
   * gone by then is left out.
   * @param offset how many of them to leave out first
   */
  contexts(offset?: number, limit?: number): Iterable<ContextStatus>;
  context(tag: ContextTag): ContextStatus | undefined;
  /** None of a context that there is not. */
  pairs(tag: ContextTag): PairStatus[];
  locators(): HostLocator[];
  history(query: HistoryQuery): Omit<HistoryReply, "schemaVersion">;
  /** False when the state forbids it. */
  open(ulids: AddressPair): boolean;
  explore(tag: ContextTag): boolean;
  close(tag: ContextTag): boolean;
  /** At least one fork, or why there is none. */
  fork(order: ForkOrder): Result<Fork[], string>;
  /** `undefined` prefers none. */
  prefer(tag: ContextTag, pair: AddressPair | undefined): Result<true, string>;
  /** @param pair `undefined` for the current one */
  pin(tag: ContextTag, pair: AddressPair | undefined, pin: Pin): Result<true, string>;
  /** False when it is not pinned. */
  unpin(tag: ContextTag): boolean;
  /** Takes some seconds. */
  survey(wish: SurveyWish): Promise<Result<PeerSurvey, string>>;
  /** See {@link Drills.run}. */
  drill(...drill: Parameters<Drills["run"]>): ReturnType<Drills["run"]>;
  /** False when there is none. */
  endDrill(): boolean;
  /** What deserves a word about it. */
  setSendTimeout(sendTimeout: Duration): Warning[];
  /** For Prometheus. @param accept the formats that it takes */
  metrics(accept: string | undefined): Promise<MetricsText>;
  readonly captures: CaptureHub;
  readonly events: EventHub;
}
