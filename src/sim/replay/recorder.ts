import type { EndpointConfig, LocalLocator } from "../../core/config.ts";
import { Endpoint } from "../../core/endpoint.ts";
import type { Output } from "../../core/output.ts";
import type { Instant } from "../../core/time.ts";
import { encodeParameters } from "../../identity/parameters.ts";
import type { Prover } from "../../identity/prove-locators.ts";
import { toHex } from "../../wire/hex.ts";
import { CALL_NAMES, type CallName, settingsOf } from "./calls.ts";
import { formatCall, formatHeader, formatOutput, type TraceHeader } from "./trace-format.ts";

type AnyCall = (now: Instant, ...given: unknown[]) => unknown;

/**
 * An endpoint that writes down all that it is given and all that it puts out, for a
 * `Replayer` to go through again. The private keys of provers are not written, but whatever
 * they sign.
 * @param write takes each line, without its end
 */
export function recordEndpoint(
  config: EndpointConfig,
  about: Pick<TraceHeader, "l3shim" | "wall" | "at">,
  write: (line: string) => void,
): Endpoint {
  const recorder = new Recorder(write);
  const random = (length: number) => recorder.noteRandom(config.random(length));
  const endpoint = new Endpoint({ ...config, random });
  write(formatHeader({ ...about, settings: settingsOf(config), random: recorder.takeRandom() }));
  const recorded = new Map<PropertyKey, unknown>([["poll", () => recorder.poll(endpoint)]]);
  for (const name of CALL_NAMES) {
    const call = endpoint[name].bind(endpoint) as AnyCall;
    recorded.set(name, recorder.recorded(name, call));
  }
  return new Proxy(endpoint, { get: (target, name) => recorded.get(name) ?? plain(target, name) });
}

/** What changes nothing. The endpoint's private parts are its own, not the proxy's. */
function plain(endpoint: Endpoint, name: PropertyKey): unknown {
  const value: unknown = Reflect.get(endpoint, name, endpoint);
  return typeof value === "function" ? (value.bind(endpoint) as unknown) : value;
}

interface OpenCall {
  readonly at: Instant;
  readonly call: CallName;
  readonly args: readonly unknown[];
  readonly signatures: Uint8Array[];
  readonly polled: string[];
  threw: string | undefined;
}

/** Writes a line for each call, once all is known that goes with it. */
class Recorder {
  readonly #write: (line: string) => void;
  /** The call whose outputs are still being taken. */
  #open: OpenCall | undefined;
  readonly #random: Uint8Array[] = [];
  readonly #provers = new Map<Prover, RecordedProver>();

  constructor(write: (line: string) => void) {
    this.#write = write;
  }

  /** Whoever takes the octets may change them. */
  noteRandom(octets: Uint8Array): Uint8Array {
    this.#random.push(Uint8Array.from(octets));
    return octets;
  }

  takeRandom(): Uint8Array[] {
    return this.#random.splice(0);
  }

  recorded(name: CallName, call: AnyCall): AnyCall {
    return (now, ...given) => {
      this.#close();
      const args = name === "handleLocalLocators" ? this.#replaceProvers(given) : given;
      const open: OpenCall = {
        ...{ at: now, call: name, args: args.map(plainArgument) },
        ...{ signatures: [], polled: [], threw: undefined },
      };
      this.#open = open;
      try {
        return call(now, ...args);
      } catch (error) {
        open.threw = String(error);
        this.#close();
        throw error;
      }
    };
  }

  poll(endpoint: Endpoint): Output | undefined {
    const output = endpoint.poll();
    this.#open?.polled.push(formatOutput(output));
    if (output === undefined) this.#close();
    return output;
  }

  #close(): void {
    if (this.#open === undefined) return;
    this.#write(formatCall({ ...this.#open, random: this.takeRandom() }));
    this.#open = undefined;
  }

  #replaceProvers([locators]: unknown[]): [LocalLocator[]] {
    return [
      (locators as readonly LocalLocator[]).map((locator) =>
        locator.prover === undefined
          ? locator
          : { ...locator, prover: this.#recordedProver(locator.prover) },
      ),
    ];
  }

  /** The endpoint goes by whether it is the same one. */
  #recordedProver(prover: Prover): RecordedProver {
    const known = this.#provers.get(prover);
    if (known !== undefined) return known;
    const made = new RecordedProver(prover, this.#provers.size, (signature) => {
      this.#open?.signatures.push(signature);
    });
    this.#provers.set(prover, made);
    return made;
  }
}

/** Octets as hexadecimal digits, and `null` for an argument that is missing. */
function plainArgument(value: unknown): unknown {
  return value instanceof Uint8Array ? toHex(value) : (value ?? null);
}

/** Stands for a prover in a trace: says of the key only that there is one. */
class RecordedProver implements Prover {
  readonly parameters: Prover["parameters"];
  readonly sign: Prover["sign"];
  readonly #number: number;

  constructor(prover: Prover, number: number, signed: (signature: Uint8Array) => void) {
    const { parameters, sign } = prover;
    this.parameters = parameters;
    this.#number = number;
    this.sign =
      sign &&
      ((message) => {
        const signature = sign(message);
        signed(signature);
        return signature;
      });
  }

  toJSON(): object {
    const parameters = toHex(encodeParameters(this.parameters));
    return { prover: this.#number, parameters, signs: this.sign !== undefined };
  }
}
