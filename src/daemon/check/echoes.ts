import type { AddressPair } from "../../core/output.ts";
import { after, milliseconds } from "../../core/time.ts";
import { type Echo, type EchoSocket, MAX_ECHO_LENGTH } from "../../linux/echo-socket.ts";
import { SystemError } from "../../linux/system-error.ts";
import { IPV6_HEADER_LENGTH } from "../../wire/ipv6.ts";
import type { Clock } from "../clock.ts";

/** What ICMPv6 echoes say of one locator pair. */
export interface EchoOutcome {
  readonly pair: AddressPair;
  readonly answered: boolean;
  /** Octets of the longest packet that was tried; `undefined` when none was. */
  readonly size: number | undefined;
  /** Such a packet got there and back. */
  readonly sizePasses: boolean;
}

/** What sends them; tests bring their own. */
export interface EchoSystem {
  /** @throws SystemError */
  open(onReply: (reply: Echo) => void, onError: (error: Error) => void): EchoSocket;
  /** Octets of the longest packet, as far as the kernel knows; `undefined` without a route. */
  mtu(pair: AddressPair): number | undefined;
  /** 16 random bits. */
  identifier(): number;
}

const TRIES = 3;
/** ms from one try to the next. */
const INTERVAL = 300;
/** ms for the answers to the last one. */
const PATIENCE = 1_000;
const SMALL = 64;

/**
 * Tells paths that drop protocol 140 from those that drop everything, and those that drop long
 * packets without a word from those whose routers answer Packet Too Big, as they must (RFC 8201):
 * the kernel has learned the path's MTU then, and the next try keeps to it.
 */
export async function tryEchoes(
  system: EchoSystem,
  clock: Clock,
  pairs: readonly AddressPair[],
): Promise<readonly EchoOutcome[]> {
  const run = new EchoRun(system, clock, pairs);
  try {
    await run.tryAll(
      (trial) => !trial.answered,
      () => SMALL,
    );
    await run.tryAll(
      (trial) => trial.answered && !trial.sizePasses,
      ({ pair }) => Math.min(system.mtu(pair) ?? SMALL, IPV6_HEADER_LENGTH + MAX_ECHO_LENGTH),
    );
    return run.trials;
  } finally {
    run.close();
  }
}

class Trial implements EchoOutcome {
  readonly pair: AddressPair;
  answered = false;
  size: number | undefined;
  sizePasses = false;

  constructor(pair: AddressPair) {
    this.pair = pair;
  }
}

class EchoRun {
  readonly trials: readonly Trial[];
  readonly #clock: Clock;
  readonly #identifier: number;
  readonly #socket: EchoSocket;
  /** By sequence number. */
  readonly #sent = new Map<number, { readonly trial: Trial; readonly size: number }>();
  /** Called when an answer has come. */
  #wake: () => void = () => undefined;
  #error: Error | undefined;

  constructor(system: EchoSystem, clock: Clock, pairs: readonly AddressPair[]) {
    this.trials = pairs.map((pair) => new Trial(pair));
    this.#clock = clock;
    this.#identifier = system.identifier();
    this.#socket = system.open(
      (reply) => this.#handleReply(reply),
      (error) => {
        this.#error = error;
        this.#wake();
      },
    );
  }

  /** @param wants an answer of this length yet, in octets of the whole packet */
  async tryAll(wants: (trial: Trial) => boolean, sizeOf: (trial: Trial) => number): Promise<void> {
    for (let left = TRIES; left > 0 && this.trials.some(wants); left -= 1) {
      for (const trial of this.trials.filter(wants)) this.#send(trial, sizeOf(trial));
      await this.#wait(left === 1 ? PATIENCE : INTERVAL, () => !this.trials.some(wants));
      if (this.#error !== undefined) throw this.#error;
    }
  }

  close(): void {
    this.#socket.close();
  }

  #send(trial: Trial, size: number): void {
    if (size > SMALL) trial.size = size;
    const sequence = this.#sent.size;
    this.#sent.set(sequence, { trial, size });
    const length = size - IPV6_HEADER_LENGTH;
    try {
      this.#socket.send({ ...trial.pair, identifier: this.#identifier, sequence, length });
    } catch (error) {
      // No route, or a shorter path by now: it has no answer, and the next try may have one.
      if (!(error instanceof SystemError)) throw error;
    }
  }

  #handleReply({ local, peer, identifier, sequence, length }: Echo): void {
    const sent = this.#sent.get(sequence);
    if (identifier !== this.#identifier || sent === undefined) return;
    const { trial, size } = sent;
    const isWhole = length === size - IPV6_HEADER_LENGTH;
    if (trial.pair.local !== local || trial.pair.peer !== peer || !isWhole) return;
    trial.answered = true;
    if (size === trial.size) trial.sizePasses = true;
    this.#wake();
  }

  /** Until the span (ms) has passed, or `isDone`. */
  #wait(span: number, isDone: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        cancel();
        resolve();
      };
      const cancel = this.#clock.schedule(after(this.#clock.now(), milliseconds(span)), end);
      this.#wake = () => {
        if (this.#error !== undefined || isDone()) end();
      };
    });
  }
}
