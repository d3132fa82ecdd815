import type { BpfProgram } from "../../linux/bpf-program.ts";
import { setOffload } from "../../linux/ethtool.ts";
import { type Icmp6Socket, openIcmp6Socket } from "../../linux/icmp6-socket.ts";
import type { ReceivedMessage } from "../../linux/raw-socket.ts";
import { RouteEditor } from "../../linux/route-editor.ts";
import { RouteLookup } from "../../linux/route-lookup.ts";
import { RouteMonitor, type RouteObserver } from "../../linux/route-monitor.ts";
import type { Link } from "../../linux/rtnetlink.ts";
import type { VethPairEdit } from "../../linux/rtnetlink-encode.ts";
import {
  type OnShim6Message,
  openShim6Socket,
  type Shim6Socket,
} from "../../linux/shim6-socket.ts";
import { SocketDiagnostics } from "../../linux/socket-diag.ts";
import { LOCATOR_MARK, UlidRoutes } from "../ulid-routes.ts";
import { attachProgram } from "./attach-program.ts";
import type { Attach } from "./attachments.ts";
import type { DeviceSystem } from "./ulid-device.ts";

type OpenSocket<Socket> = (
  onMessage: (message: ReceivedMessage) => void,
  onError: (error: Error) => void,
) => Socket;

/** What the plane wants from the operating system; tests bring their own. */
export interface EbpfSystem {
  readonly attach: Attach;
  /** Runs a program that looks at no packet. */
  readonly runProgram: (program: BpfProgram) => void;
  /** @param port of Shim6 in UDP, if any */
  openShim6Socket(
    onMessage: OnShim6Message,
    onError: (error: Error) => void,
    port?: number,
  ): Shim6Socket;
  readonly openIcmp6Socket: OpenSocket<Icmp6Socket>;
  /** @throws SystemError */
  openRoutes(): UlidRoutes;
  openDevices(): DeviceSystem & { close(): void };
  /** @throws SystemError */
  monitor(observer: RouteObserver): Pick<RouteMonitor, "table" | "close">;
  openDiagnostics(): Pick<SocketDiagnostics, "tcpConnections" | "close">;
}

/** The shortest frame that a program can be run on. */
const NO_PACKET = new Uint8Array(14);

/** Linux, in the network namespace of the calling thread. */
export const LINUX_EBPF: EbpfSystem = {
  attach: attachProgram,
  runProgram: (program) => {
    program.run(NO_PACKET);
  },
  openShim6Socket: (onMessage, onError, port) =>
    openShim6Socket(onMessage, onError, port, LOCATOR_MARK),
  openIcmp6Socket,
  openRoutes: () => new UlidRoutes(new RouteEditor(), new RouteLookup(), true),
  openDevices: () => new KernelDevices(),
  monitor: (observer) => new RouteMonitor(observer),
  openDiagnostics: () => new SocketDiagnostics(),
};

class KernelDevices implements DeviceSystem {
  readonly #editor = new RouteEditor();

  links(): readonly Link[] {
    return this.#editor.read().links;
  }

  addVethPair(pair: VethPairEdit): void {
    this.#editor.addVethPair(pair);
  }

  setLinkUp(index: number, up: boolean): void {
    this.#editor.setLinkUp(index, up);
  }

  deleteLink(index: number): void {
    this.#editor.deleteLink(index);
  }

  disableOffloads(name: string): void {
    for (const offload of ["tso", "gso", "txChecksum"] as const) setOffload(name, offload, false);
  }

  close(): void {
    this.#editor.close();
  }
}
