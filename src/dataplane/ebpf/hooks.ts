import type { AddressPair } from "../../core/output.ts";
import type { BpfMap } from "../../linux/bpf-map.ts";
import type { BpfProgram } from "../../linux/bpf-program.ts";
import { openRingBuffer } from "../../linux/bpf-ring-buffer.ts";
import type { NetworkChange } from "../../linux/network-table.ts";
import type { OutgoingMessage, ReceivedMessage } from "../../linux/raw-socket.ts";
import type { Egress } from "../../linux/route-lookup.ts";
import type { OnShim6Message, OutgoingShim6, Shim6Socket } from "../../linux/shim6-socket.ts";
import type { TcpConnection } from "../../linux/socket-diag.ts";
import { SystemError } from "../../linux/system-error.ts";
import type { Address } from "../../wire/address.ts";
import { ACQUAINTED_AFTER, DataPlaneError, type TriggerPolicy } from "../dataplane.ts";
import { isUlidTable } from "../ulid-routes.ts";
import { Attachments } from "./attachments.ts";
import { ContextMaps } from "./context-maps.ts";
import { Ending } from "./ending.ts";
import { KernelHalf, type KernelOptions } from "./kernel.ts";
import { decodeTcpQuery, encodeTcpQuery, TCP_QUERY_LENGTH, type TcpState } from "./layout.ts";
import type { EbpfSystem } from "./system.ts";
import { TcpNudge } from "./tcp-nudge.ts";
import { openUlidDevice, removeUlidDevice, type UlidDevice } from "./ulid-device.ts";

export interface HookSettings extends KernelOptions {
  readonly trigger: TriggerPolicy;
  /** Of Shim6 in UDP; without it there is none. */
  readonly udpPort?: number | undefined;
}

export interface HookHandlers {
  /** Gets a record of the ring buffer. */
  readonly event: (record: Uint8Array) => void;
  readonly control: OnShim6Message;
  readonly icmpError: (message: ReceivedMessage) => void;
  /** Links, addresses or routes changed, but for the plane's own. */
  readonly networkChanged: () => void;
  readonly failed: (error: Error) => void;
  readonly warn: (message: string) => void;
}

/** All that the plane has of the system: programs, device, routes, sockets. */
export class Hooks {
  readonly kernel: KernelHalf;
  readonly #parts: HookParts;

  /**
   * With the routes that an earlier run left for pairs that its maps still have.
   * @throws DataPlaneError; nothing stays behind then
   */
  static open(settings: HookSettings, system: EbpfSystem, handlers: HookHandlers): Hooks {
    const ending = new Ending();
    try {
      return new Hooks(openParts(settings, system, handlers, ending));
    } catch (error) {
      ending.remove();
      throw explain(error);
    }
  }

  private constructor(parts: HookParts) {
    this.#parts = parts;
    this.kernel = parts.kernel;
  }

  isLocal(address: Address): boolean {
    return this.#parts.attachments.isLocal(address);
  }

  /** See {@link Shim6Socket.overruns}. */
  get controlOverruns(): Shim6Socket["overruns"] {
    return this.#parts.shim6.overruns;
  }

  /** See {@link Shim6Socket.acquaint}. */
  acquaint(peer: Address): void {
    this.#parts.shim6.acquaint(peer);
  }

  /** @throws SystemError when the system does not send it. */
  sendShim6(message: OutgoingShim6): void {
    this.#parts.shim6.send(message);
  }

  /** @throws SystemError when the system does not send it. */
  sendIcmp(message: OutgoingMessage): void {
    this.#parts.icmp6.send(message);
  }

  /** The way between two locators. @throws SystemError when there is none */
  findWay(locators: AddressPair): Egress {
    return this.#parts.routes.find(locators);
  }

  /** Packets of the ULID pair go by the ULID device, so large that `mtu` holds after it. */
  lead(ulids: AddressPair, mtu: number): void {
    this.#parts.routes.set(ulids, { link: this.#parts.device.hostSide, gateway: undefined, mtu });
  }

  /** They go by the ULIDs' own uplink again. @throws SystemError */
  unlead(ulids: AddressPair): void {
    this.#parts.routes.clear(ulids);
  }

  /** See {@link UlidRoutes.repair}. */
  repairRoutes(): number {
    return this.#parts.routes.repair();
  }

  /** See {@link TcpNudge.nudge}. */
  nudgeTcp(...nudge: Parameters<TcpNudge["nudge"]>): void {
    this.#parts.tcpNudge.nudge(...nudge);
  }

  /** Gives everything back. */
  close(): void {
    this.#parts.ending.remove();
  }

  /** What is in the kernel goes on without this process. */
  release(): void {
    this.#parts.ending.release();
  }
}

interface HookParts {
  readonly tcpNudge: TcpNudge;
  readonly ending: Ending;
  readonly kernel: KernelHalf;
  readonly shim6: Shim6Socket;
  readonly icmp6: ReturnType<EbpfSystem["openIcmp6Socket"]>;
  readonly device: UlidDevice;
  readonly routes: ReturnType<EbpfSystem["openRoutes"]>;
  readonly attachments: Attachments;
}

/** What comes last is removed first: routes, so that nothing goes into a device without programs. */
function openParts(
  settings: HookSettings,
  system: EbpfSystem,
  handlers: HookHandlers,
  ending: Ending,
): HookParts {
  const kernel = KernelHalf.open(settings);
  ending.add({ remove: () => kernel.remove(), release: () => kernel.close() });
  const shim6 = ending.closing(
    system.openShim6Socket(handlers.control, handlers.failed, settings.udpPort),
  );
  const icmp6 = ending.closing(system.openIcmp6Socket(handlers.icmpError, handlers.failed));
  const device = openDevice(system, ending);
  const { packets: triggerPackets, age: triggerAge } = settings.trigger;
  const acquaintedPackets = ACQUAINTED_AFTER;
  kernel.configure({
    ...{ ulidDevice: device.hostSide, triggerPackets, triggerAge, acquaintedPackets },
    udpPort: settings.udpPort,
  });
  const attachments = attachAll(kernel, device, system, handlers, ending);
  const routes = system.openRoutes();
  ending.add({ remove: () => routes.close(), release: () => routes.release() });
  routes.takeOver([...new ContextMaps(kernel).read().values()].map(({ ulids }) => ulids));
  ending.closing(openRingBuffer(kernel.events, handlers.event, handlers.failed));
  const diagnostics = ending.closing(system.openDiagnostics());
  const query = { map: kernel.tcpQuery, program: kernel.program("tcp_state") };
  const tcpNudge = new TcpNudge({
    tcpConnections: (local, peer) => diagnostics.tcpConnections(local, peer),
    tcpState: (...of) => readTcpState(...of, query, system),
    sendToSelf: (self, bytes) => icmp6.send({ source: self, destination: self, bytes }),
    warn: handlers.warn,
  });
  ending.closing(tcpNudge);
  return { tcpNudge, ending, kernel, shim6, icmp6, device, routes, attachments };
}

const ONLY_ENTRY = new Uint8Array(4);

/** Has the program look the socket up. @throws SystemError */
function readTcpState(
  ulids: AddressPair,
  connection: TcpConnection,
  { map, program }: { readonly map: BpfMap; readonly program: BpfProgram },
  system: Pick<EbpfSystem, "runProgram">,
): TcpState | undefined {
  map.update(ONLY_ENTRY, encodeTcpQuery(ulids, connection));
  system.runProgram(program);
  const answer = new Uint8Array(TCP_QUERY_LENGTH);
  map.lookup(ONLY_ENTRY, answer);
  return decodeTcpQuery(answer);
}

function openDevice(system: EbpfSystem, ending: Ending): UlidDevice {
  const devices = ending.closing(system.openDevices());
  // Mapped packets go on through it.
  ending.add({ remove: () => removeUlidDevice(devices), release: () => undefined });
  return openUlidDevice(devices);
}

function attachAll(
  kernel: KernelHalf,
  device: UlidDevice,
  system: EbpfSystem,
  handlers: HookHandlers,
  ending: Ending,
): Attachments {
  const attachments = new Attachments({
    attach: system.attach,
    program: (name) => kernel.program(name),
    pinPath: (name) => kernel.pinPath(name),
    locals: kernel.locals,
    ownLinks: new Set([device.hostSide, device.shimSide]),
    warn: handlers.warn,
  });
  ending.add({ remove: () => attachments.detach(), release: () => attachments.release() });
  attachments.attachOwn("ulid_device", device.shimSide);
  const monitor = ending.closing(
    system.monitor({
      changed: (changes) => {
        if (changes.every(isOwn)) return;
        attachments.apply(monitor.table);
        handlers.networkChanged();
      },
      failed: handlers.failed,
    }),
  );
  attachments.apply(monitor.table);
  return attachments;
}

/** Routes and rules of ULID pairs change with every switch. */
function isOwn(change: NetworkChange): boolean {
  if (change.kind === "route") return isUlidTable(change.route.table);
  return change.kind === "rule" && isUlidTable(change.rule.table);
}

const REMEDIES: Readonly<Record<string, string>> = {
  EADDRINUSE: "Stop whoever has the UDP port, or set another encapsulation.port on all hosts.",
  EPERM: "Run as root, or give the process CAP_BPF, CAP_NET_ADMIN and CAP_NET_RAW.",
  ENOENT: "Install libbpf1, and mount a bpffs.",
};

function explain(error: unknown): unknown {
  if (!(error instanceof SystemError)) return error;
  const remedy = REMEDIES[error.code] ?? 'Use Linux 5.15 or later, or dataplane = "nfqueue".';
  return new DataPlaneError(error.message, remedy, { cause: error });
}
