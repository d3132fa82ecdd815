import type { ContextEvent } from "../../core/output.ts";
import type { Instant } from "../../core/time.ts";
import type { ContextView } from "../../core/view.ts";
import type { PacketTap } from "../../linux/packet-socket.ts";
import type { Address } from "../../wire/address.ts";
import { decodeControl } from "../../wire/control.ts";
import { type ContextTag, formatTag } from "../../wire/tag.ts";
import type { Clock } from "../clock.ts";
import type { StepCause } from "../driver.ts";
import { type CapturedMessage, controlPacket } from "./control-packet.ts";
import { openingComments, stateOf } from "./opening-comments.ts";
import { PayloadTaps, type PayloadTapsParts } from "./payload-taps.ts";

/** Gets packets as they are known; `at` in microseconds since 1970. */
export interface CaptureReader {
  /** Comes first. @param comments on the whole: what is captured, and the contexts as they are */
  begin(comments: readonly string[]): void;
  /** @param packet whole, or its beginning, from the IPv6 header on */
  packet(interfaceName: string, at: number, packet: Uint8Array, comment: string): void;
  /** So many packets of the host, payload or not, have passed unseen. */
  missed(count: number): void;
  /** The daemon stops, or cannot go on with it. */
  end(): void;
}

export interface CaptureParts extends PayloadTapsParts {
  readonly clock: Clock;
  readonly interfaceOf: (address: Address) => string | null;
  readonly warn: (error: Error) => void;
}

interface Pending extends CapturedMessage {
  readonly at: Instant;
  readonly direction: "sent" | "received";
  readonly type: string;
  readonly tag: ContextTag | undefined;
}

/**
 * Control messages for those who capture, with what is known about each: its context, why it was
 * sent, what it changed. That is known at the end of a step of the driver. On request payload, too.
 */
export class CaptureHub {
  readonly #parts: CaptureParts;
  readonly #payload: PayloadTaps;
  readonly #readers = new Map<CaptureReader, PacketTap | undefined>();
  readonly #states = new Map<ContextTag, string>();
  #cause: StepCause = "command";
  #pending: Pending[] = [];
  #events: ContextEvent[] = [];

  constructor(parts: CaptureParts) {
    this.#parts = parts;
    this.#payload = new PayloadTaps(parts);
  }

  get hasReaders(): boolean {
    return this.#readers.size > 0;
  }

  /**
   * The function returned ends it.
   * @param snapLength octets of each packet of payload, 40 or more; without it there is no payload
   * @throws SystemError when payload cannot be seen
   */
  subscribe(reader: CaptureReader, snapLength?: number): () => void {
    const tap = snapLength === undefined ? undefined : this.#tap(reader, snapLength);
    if (!this.hasReaders) this.#noteStates();
    this.#readers.set(reader, tap);
    reader.begin(openingComments(this.#parts.contexts(), snapLength));
    return () => this.#letGo(reader);
  }

  end(): void {
    for (const reader of this.#readers.keys()) {
      reader.end();
      this.#letGo(reader);
    }
  }

  stepBegan(cause: StepCause): void {
    this.flush();
    this.#cause = cause;
  }

  handleEvent(event: ContextEvent): void {
    this.#payload.contextsChanged();
    if (this.hasReaders) this.#events.push(event);
  }

  sent(at: Instant, message: CapturedMessage, type: string, tag: ContextTag | undefined): void {
    if (!this.hasReaders) return;
    this.#pending.push({ ...message, at, direction: "sent", type, tag });
  }

  received(at: Instant, message: CapturedMessage): void {
    if (!this.hasReaders) return;
    const decoded = decodeControl(message.bytes);
    const body = decoded.ok ? decoded.value.message : undefined;
    const tag = body && "receiverContextTag" in body ? body.receiverContextTag : undefined;
    const type = body?.type ?? "malformed message";
    this.#pending.push({ ...message, at, direction: "received", type, tag });
  }

  /** The step is over: what its messages have led to is known. */
  flush(): void {
    for (const message of this.#pending) this.#tell(message);
    this.#pending = [];
    this.#events = [];
  }

  #tell(message: Pending): void {
    const { clock, interfaceOf, udpPort } = this.#parts;
    const { at, direction, source, destination } = message;
    const name = interfaceOf(direction === "sent" ? source : destination) ?? "none";
    const wall = Math.round(1000 * (clock.wall() + (at - clock.now())));
    const packet = controlPacket(message, udpPort);
    const comment = this.#comment(message);
    for (const reader of this.#readers.keys()) reader.packet(name, wall, packet, comment);
  }

  #comment(message: Pending): string {
    const { direction, type } = message;
    const tag = message.tag ?? this.#tagOfStep;
    const context = tag === undefined ? undefined : this.#parts.context(tag);
    return [
      `${direction} ${type}`,
      tag === undefined ? "no context" : `context ${formatTag(tag)}`,
      ...(context === undefined ? [] : [`${context.ulids.local} > ${context.ulids.peer}`]),
      `cause: ${this.#causeOf(message)}`,
      ...(tag === undefined ? [] : [this.#changeOf(tag, context)]),
      ...this.#events.filter((event) => event.tag === tag).map(describeEvent),
    ].join("; ");
  }

  /** Some messages name no context of ours: what they lead to does. */
  get #tagOfStep(): ContextTag | undefined {
    return [...this.#pending, ...this.#events].find(({ tag }) => tag !== undefined)?.tag;
  }

  /** Of what is sent in answer: what came. */
  #causeOf({ direction }: Pending): string {
    if (direction === "received") return "the peer sent it";
    const before = this.#pending.find((each) => each.direction === "received");
    return before === undefined ? this.#cause : `${before.type} received`;
  }

  #changeOf(tag: ContextTag, context: ContextView | undefined): string {
    const before = this.#states.get(tag) ?? "IDLE";
    const now = context === undefined ? "IDLE" : stateOf(context);
    if (context === undefined) this.#states.delete(tag);
    else this.#states.set(tag, now);
    return before === now ? `state: ${now}` : `state: ${before} -> ${now}`;
  }

  #tap(reader: CaptureReader, snapLength: number): PacketTap {
    return this.#payload.open(reader, snapLength, (error) => {
      this.#parts.warn(error);
      reader.end();
      this.#letGo(reader);
    });
  }

  #letGo(reader: CaptureReader): void {
    this.#readers.get(reader)?.close();
    this.#readers.delete(reader);
  }

  #noteStates(): void {
    this.#states.clear();
    for (const context of this.#parts.contexts()) this.#states.set(context.tag, stateOf(context));
  }
}

function describeEvent(event: ContextEvent): string {
  return "cause" in event ? `${event.event}: ${event.cause}` : event.event;
}
