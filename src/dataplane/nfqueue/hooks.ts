import { setImmediate } from "node:timers/promises";
import type { AddressPair } from "../../core/output.ts";
import type { Icmp6Socket } from "../../linux/icmp6-socket.ts";
import type { LogHandler, PacketLog } from "../../linux/nflog.ts";
import type { BatchHandler, PacketQueue, QueueOptions } from "../../linux/queue.ts";
import type { OutgoingMessage, ReceivedMessage } from "../../linux/raw-socket.ts";
import type { Egress } from "../../linux/route-lookup.ts";
import type { OnShim6Message, OutgoingShim6, Shim6Socket } from "../../linux/shim6-socket.ts";
import { SystemError } from "../../linux/system-error.ts";
import type { Address } from "../../wire/address.ts";
import { DataPlaneError, type DrilledUplink } from "../dataplane.ts";
import { MappedPairs } from "./mapped-pairs.ts";
import { type InstalledRules, installRules, type RuleCommandName } from "./rules.ts";
import type { PlaneSystem } from "./system.ts";

/** Of a packet that is only looked at: the IPv6 header and the beginning of what follows. */
const OBSERVE_COPY_RANGE = 64;
const WHOLE_PACKET = 0xffff;
const QUEUE_LENGTH = 8192;

export interface HookSettings {
  readonly backend: "auto" | RuleCommandName;
  readonly inboundHook: "prerouting" | "input";
  /** Number of the queue, and of the log group: 0 .. 65535. */
  readonly queue: number;
  /** Of Shim6 in UDP; without it there is none. */
  readonly udpPort?: number | undefined;
  /** See {@link RewriteSettings.withholdErrors}. */
  readonly withholdErrors: boolean;
}

/** Who gets what comes from the host. */
export interface HookHandlers {
  readonly observe: LogHandler;
  readonly rewrite: BatchHandler;
  readonly control: OnShim6Message;
  readonly icmpError: (message: ReceivedMessage) => void;
  /** A ULID pair has no route of its own: its packets go by the ULID's uplink to the queue. */
  readonly routeFailed: (error: SystemError) => void;
  /** Packets cannot be handled any more. */
  readonly failed: (error: Error) => void;
}

/** All that the plane takes from the host: log group, queue, sockets, rules and routes. */
export class Hooks {
  readonly #log: PacketLog;
  readonly #queue: PacketQueue;
  readonly #shim6: Shim6Socket;
  readonly #icmp6: Icmp6Socket;
  readonly #routes: ReturnType<PlaneSystem["openRoutes"]>;
  readonly #handlers: HookHandlers;
  readonly #settings: HookSettings;
  #rules: InstalledRules | undefined;
  #mapped: MappedPairs | undefined;

  /**
   * Takes the hooks. The queue comes first: whoever has it has the rules in use, too.
   * @throws DataPlaneError naming what is missing; nothing stays behind then.
   */
  static async open(
    settings: HookSettings,
    handlers: HookHandlers,
    system: PlaneSystem,
  ): Promise<Hooks> {
    const hooks = explainSystemErrors(() => new Hooks(settings, handlers, system));
    try {
      explainSystemErrors(() => hooks.#routes.open());
      await hooks.#installRules(settings, system);
      return hooks;
    } catch (error) {
      await hooks.close();
      throw error;
    }
  }

  private constructor(settings: HookSettings, handlers: HookHandlers, system: PlaneSystem) {
    const { control, failed, icmpError, observe, rewrite } = handlers;
    const opened: { close(): void }[] = [];
    const keep = <Resource extends { close(): void }>(resource: Resource): Resource => {
      opened.push(resource);
      return resource;
    };
    this.#handlers = handlers;
    this.#settings = settings;
    try {
      this.#queue = keep(system.openQueue(queueOptions(settings.queue), rewrite, failed));
      const logOptions = { group: settings.queue, copyRange: OBSERVE_COPY_RANGE };
      this.#log = keep(system.openLog(logOptions, observe, failed));
      this.#shim6 = keep(system.openShim6Socket(control, failed, settings.udpPort));
      this.#icmp6 = keep(system.openIcmp6Socket(icmpError, failed));
      this.#routes = keep(system.openRoutes());
    } catch (error) {
      for (const resource of opened) resource.close();
      throw error;
    }
  }

  /** Packets that the kernel dropped because the queue was full. */
  get overruns(): number {
    return this.#queue.overruns;
  }

  /** Packets that passed uncounted because the plane did not keep up. */
  get unobserved(): number {
    return this.#log.lost;
  }

  /** See {@link Shim6Socket.overruns}. */
  get controlOverruns(): Shim6Socket["overruns"] {
    return this.#shim6.overruns;
  }

  /** See {@link Shim6Socket.acquaint}. */
  acquaint(peer: Address): void {
    this.#shim6.acquaint(peer);
  }

  /** @throws SystemError when the system does not send it. */
  sendShim6(message: OutgoingShim6): void {
    this.#shim6.send(message);
  }

  /** @throws SystemError when the system does not send it. */
  sendIcmp(message: OutgoingMessage): void {
    this.#icmp6.send(message);
  }

  /** The way between two locators. @throws SystemError when there is none */
  findEgress(locators: AddressPair): Egress {
    return this.#routes.find(locators);
  }

  /**
   * Packets of the ULID pair go to the rewrite queue, a few milliseconds from now, and once all
   * of them do, by `egress`, of whose MTU the ULP then knows. The other way round some would
   * leave by it unrewritten, with a source address that is another uplink's.
   */
  map(ulids: AddressPair, egress: Egress | undefined): void {
    this.#mapped?.add(ulids, () => {
      if (egress !== undefined) this.#setRoute(ulids, egress);
    });
  }

  /** Resolves when all changes of mapped pairs so far are in force. */
  async settled(): Promise<void> {
    await this.#mapped?.settled();
  }

  /**
   * The reverse: the route goes at once, the rule some milliseconds later.
   * @throws SystemError when the pair's route cannot be removed
   */
  unmap(ulids: AddressPair): void {
    this.#mapped?.remove(ulids);
    this.#routes.clear(ulids);
  }

  /**
   * What is to get lost on the uplink goes to the queue.
   * @param pairs ULID pairs of contexts
   * @throws CommandFailure
   */
  async drill(uplink: DrilledUplink, pairs: readonly AddressPair[]): Promise<void> {
    const { queue, udpPort } = this.#settings;
    await this.#rules?.installDrill({ queue, udpPort, uplink, pairs });
  }

  /** @throws CommandFailure */
  async endDrill(): Promise<void> {
    await this.#rules?.removeDrill();
  }

  /** See {@link UlidRoutes.repair}. */
  repairRoutes(): number {
    return this.#routes.repair();
  }

  /**
   * Gives everything back: routes first, so that no packet goes by them unrewritten, and the
   * queue behind its rules, so that no packet waits where nobody reads.
   */
  async close(): Promise<void> {
    try {
      await this.#mapped?.settled();
      explainSystemErrors(() => this.#routes.close());
    } finally {
      await this.#giveQueueBack();
    }
  }

  async #giveQueueBack(): Promise<void> {
    try {
      await this.#rules?.remove();
      await setImmediate();
    } finally {
      this.#queue.close();
      this.#log.close();
      this.#shim6.close();
      this.#icmp6.close();
    }
  }

  #setRoute(ulids: AddressPair, egress: Egress): void {
    try {
      this.#routes.set(ulids, egress);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      this.#handlers.routeFailed(error);
    }
  }

  async #installRules(settings: HookSettings, system: PlaneSystem): Promise<void> {
    const { backend, ...rules } = settings;
    this.#rules = await installRules(backend, { group: rules.queue, ...rules }, system.run);
    this.#mapped = new MappedPairs(this.#rules, this.#handlers.failed);
  }
}

/**
 * Packets to be rewritten may not pass unrewritten when the queue is full. Without GSO the
 * kernel cuts super-packets up and completes their checksums.
 */
function queueOptions(number: number): QueueOptions {
  const maxLength = QUEUE_LENGTH;
  return { number, copyRange: WHOLE_PACKET, gso: false, failOpen: false, maxLength };
}

const REMEDIES: Readonly<Record<string, string>> = {
  EADDRINUSE: "Stop whoever has the UDP port, or set another encapsulation.port on all hosts.",
  EPERM: "Run as root, or give the process CAP_NET_ADMIN and CAP_NET_RAW.",
  EBUSY: "Stop the other l3shim daemon, or set another nfqueue.queue in the configuration.",
  EPROTONOSUPPORT: "Load the kernel module nfnetlink_queue, or use a kernel that has it.",
};

function explainSystemErrors<Value>(action: () => Value): Value {
  try {
    return action();
  } catch (error) {
    throw error instanceof SystemError ? explain(error) : error;
  }
}

function explain(cause: SystemError): DataPlaneError {
  const remedy = REMEDIES[cause.code] ?? "Look whether this kernel supports what was tried.";
  return new DataPlaneError(cause.message, remedy, { cause });
}
