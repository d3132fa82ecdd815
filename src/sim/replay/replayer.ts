import type { EndpointConfig } from "../../core/config.ts";
import { Endpoint } from "../../core/endpoint.ts";
import type { Output } from "../../core/output.ts";
import { flag, PlainDataError, parsed, type Reader, record, whole } from "../../core/plain-data.ts";
import type { Instant } from "../../core/time.ts";
import type { ContextView } from "../../core/view.ts";
import { decodeParameters } from "../../identity/parameters.ts";
import type { Prover } from "../../identity/prove-locators.ts";
import { fromHex } from "../../wire/hex.ts";
import type { ContextTag } from "../../wire/tag.ts";
import { type CallName, callReaders } from "./calls.ts";
import { formatOutput, type TraceCall, TraceError, type TraceHeader } from "./trace-format.ts";

/** The functions that every daemon computes alike. */
export type ReplayPrimitives = Pick<EndpointConfig, "keyedHash" | "identity">;

/** A call as it went again. */
export interface ReplayedCall {
  readonly at: Instant;
  readonly call: CallName;
  readonly args: readonly unknown[];
  readonly outputs: readonly Output[];
}

/** What came out otherwise than in the trace. */
export class ReplayDifference extends Error {
  override readonly name = "ReplayDifference";
}

type AnyCall = (now: Instant, ...given: unknown[]) => unknown;

/** Goes through a trace: an endpoint is given what the recorded one was given. */
export class Replayer {
  readonly #endpoint: Endpoint;
  readonly #octets: Octets;
  readonly #signatures = new Octets("signature");
  readonly #provers = new Map<number, Prover>();
  readonly #readers = callReaders((data, path) => this.#prover(data, path));

  /** @throws ReplayDifference */
  constructor({ settings, random }: TraceHeader, primitives: ReplayPrimitives) {
    this.#octets = new Octets("random octets");
    this.#octets.fill(random);
    this.#endpoint = new Endpoint({
      ...settings,
      ...primitives,
      random: (length) => this.#octets.take(length),
    });
    this.#octets.expectEmpty();
  }

  context(tag: ContextTag): ContextView | undefined {
    return this.#endpoint.context(tag);
  }

  /**
   * Makes the call again, and takes as many outputs.
   * @throws ReplayDifference where something else comes out, TraceError where the line cannot be
   */
  run(line: TraceCall): ReplayedCall {
    const { at, call, random, signatures } = line;
    const args = this.#readArguments(line);
    this.#octets.fill(random);
    this.#signatures.fill(signatures);
    const threw = this.#call(call, at, args);
    if (threw !== line.threw) {
      throw new ReplayDifference(`${line.threw ?? "no error"} then, ${threw ?? "no error"} now`);
    }
    const outputs = line.polled.flatMap((recorded) => this.#poll(recorded) ?? []);
    this.#octets.expectEmpty();
    this.#signatures.expectEmpty();
    return { at, call, args, outputs };
  }

  #readArguments({ call, args }: TraceCall): unknown[] {
    const readers: readonly Reader<unknown>[] = this.#readers[call];
    if (args.length > readers.length) throw new TraceError(`${call} has too many arguments`);
    try {
      return readers.map((read, i) => read(args[i] ?? null, `argument ${i + 1} of ${call}`));
    } catch (error) {
      if (!(error instanceof PlainDataError)) throw error;
      throw new TraceError(error.message, { cause: error });
    }
  }

  /** @returns what it threw */
  #call(call: CallName, at: Instant, args: readonly unknown[]): string | undefined {
    try {
      (this.#endpoint[call] as AnyCall).call(this.#endpoint, at, ...args);
      return undefined;
    } catch (error) {
      if (error instanceof ReplayDifference) throw error;
      return String(error);
    }
  }

  #poll(recorded: string): Output | undefined {
    const output = this.#endpoint.poll();
    const now = formatOutput(output);
    if (now !== recorded) throw new ReplayDifference(`then ${recorded}\nnow  ${now}`);
    return output;
  }

  /** The same object for the same prover: the endpoint goes by that. */
  #prover(data: unknown, path: string): Prover {
    const { prover, parameters, signs } = PROVER(data, path);
    const known = this.#provers.get(prover);
    if (known !== undefined) return known;
    const sign = signs ? () => this.#signatures.take() : undefined;
    const made = { parameters, sign };
    this.#provers.set(prover, made);
    return made;
  }
}

const PROVER = record({
  prover: whole(Number.MAX_SAFE_INTEGER),
  parameters: parsed((text) => {
    const decoded = decodeParameters(fromHex(text) ?? new Uint8Array());
    return decoded.ok ? decoded.value : undefined;
  }, "CGA parameters in hexadecimal"),
  signs: flag,
});

/** Octets that were used then, in the order in which they are wanted again. */
class Octets {
  readonly #what: string;
  #waiting: readonly Uint8Array[] = [];
  #taken = 0;

  constructor(what: string) {
    this.#what = what;
  }

  fill(octets: readonly Uint8Array[]): void {
    this.#waiting = octets;
    this.#taken = 0;
  }

  /** @param length that they must have */
  take(length?: number): Uint8Array {
    const octets = this.#waiting[this.#taken];
    this.#taken += 1;
    if (octets !== undefined && (length ?? octets.length) === octets.length) return octets;
    throw new ReplayDifference(`${this.#what} wanted now that were not wanted then`);
  }

  expectEmpty(): void {
    const left = this.#waiting.length - this.#taken;
    if (left !== 0) throw new ReplayDifference(`${this.#what} wanted then and not now`);
  }
}
