import type { Instant } from "../../core/time.ts";
import { monotonicNow } from "../../linux/clock.ts";
import { type Icmp6Socket, openIcmp6Socket } from "../../linux/icmp6-socket.ts";
import { type OpenLog, openLog } from "../../linux/nflog.ts";
import { openQueue } from "../../linux/nfqueue.ts";
import type { OpenQueue } from "../../linux/queue.ts";
import type { ReceivedMessage } from "../../linux/raw-socket.ts";
import { RouteEditor } from "../../linux/route-editor.ts";
import { RouteLookup } from "../../linux/route-lookup.ts";
import {
  type OnShim6Message,
  openShim6Socket,
  type Shim6Socket,
} from "../../linux/shim6-socket.ts";
import { LOCATOR_MARK, UlidRoutes } from "../ulid-routes.ts";
import { type RunCommand, runCommand } from "./command.ts";

type OpenSocket<Socket> = (
  onMessage: (message: ReceivedMessage) => void,
  onError: (error: Error) => void,
) => Socket;

/** What the plane wants from the operating system; tests bring their own. */
export interface PlaneSystem {
  now(): Instant;
  readonly openLog: OpenLog;
  readonly openQueue: OpenQueue;
  /** @param port of Shim6 in UDP, if any */
  openShim6Socket(
    onMessage: OnShim6Message,
    onError: (error: Error) => void,
    port?: number,
  ): Shim6Socket;
  readonly openIcmp6Socket: OpenSocket<Icmp6Socket>;
  /** @throws SystemError */
  openRoutes(): Pick<UlidRoutes, "open" | "find" | "set" | "clear" | "repair" | "close">;
  readonly run: RunCommand;
}

/** Linux, in the network namespace of the calling thread. */
export const LINUX: PlaneSystem = {
  now: monotonicNow,
  openLog,
  openQueue,
  openShim6Socket: (onMessage, onError, port) =>
    openShim6Socket(onMessage, onError, port, LOCATOR_MARK),
  openIcmp6Socket,
  openRoutes: () => new UlidRoutes(new RouteEditor(), new RouteLookup()),
  run: runCommand,
};
