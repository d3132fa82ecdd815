import type { EndpointConfig, LocalLocator } from "../../core/config.ts";
import type { Endpoint } from "../../core/endpoint.ts";
import type { HostSuspicion } from "../../core/output.ts";
import { finite, flag, list, parsed, type Reader, record, whole } from "../../core/plain-data.ts";
import {
  ADDRESS,
  COUNT,
  INSTANT,
  OCTET,
  oneOf,
  PAIR,
  PIN,
  SELECTOR,
  TAG,
} from "../../core/plain-values.ts";
import type { SurveyOrder } from "../../core/survey.ts";
import type { Duration, Instant } from "../../core/time.ts";
import type { TrafficSnapshot } from "../../core/traffic.ts";
import type { Prover } from "../../identity/prove-locators.ts";
import { fromHex } from "../../wire/hex.ts";

/** The handlers and commands of an endpoint: all by which it learns of the world. */
export type CallName = {
  [Name in keyof Endpoint]: Endpoint[Name] extends (...args: infer Args) => unknown
    ? Args extends [Instant, ...unknown[]]
      ? Name
      : never
    : never;
}[keyof Endpoint];

/** What a call is given besides the time. */
type Given<Name extends CallName> = Endpoint[Name] extends (
  now: Instant,
  ...given: infer Rest
) => unknown
  ? Rest
  : never;

type Readers<Args extends readonly unknown[]> = {
  readonly [Index in keyof Args]-?: Reader<Args[Index]>;
};

/** The argument that was missing is `null` in a trace. */
function optional<Value>(reader: Reader<Value>): Reader<Value | undefined> {
  return (data, path) => (data === null ? undefined : reader(data, path));
}

/** A member that is `undefined` is not there in a trace. */
function lenient<Value>(reader: Reader<Value>): Reader<Value | undefined> {
  return (data, path) => (data === undefined ? undefined : reader(data, path));
}

/** Read by whoever takes it: `Endpoint.restore` says itself what is wrong with a state. */
const anything: Reader<unknown> = (data) => data;

const DURATION = finite as Reader<Duration>;

export const BYTES = parsed(
  (text) => (text === "" ? new Uint8Array() : fromHex(text)),
  "octets in hexadecimal",
);

const SNAPSHOT: Reader<TrafficSnapshot> = record({
  lastOut: lenient(INSTANT),
  lastIn: lenient(INSTANT),
  firstUnansweredOut: lenient(INSTANT),
  firstUnansweredIn: lenient(INSTANT),
  packetsOut: COUNT,
  packetsIn: COUNT,
  bytesOut: COUNT,
  bytesIn: COUNT,
});

const SUSPICIONS = ["router-lost", "resumed"] as const satisfies readonly HostSuspicion[];

const SURVEY: Reader<SurveyOrder> = record({
  ulids: PAIR,
  pairs: list(PAIR),
  rounds: COUNT,
  interval: DURATION,
});

/** How the arguments of each call are read from a trace. @param prover reads what stands for one */
export function callReaders(prover: Reader<Prover>): {
  readonly [Name in CallName]: Readers<Given<Name>>;
} {
  const locator = record({
    address: ADDRESS,
    preference: OCTET,
    weight: lenient(OCTET),
    transient: lenient(flag),
    prover: lenient(prover),
    operational: flag,
  }) as Reader<LocalLocator>;
  return {
    handleControl: [ADDRESS, ADDRESS, BYTES, optional(flag)],
    handleTrigger: [PAIR],
    handleTraffic: [TAG, SNAPSHOT],
    handleTrafficResumed: [TAG],
    handleInboundPayload: [TAG, flag],
    handleUnknownTag: [ADDRESS, ADDRESS, TAG, optional(flag)],
    handleIcmpError: [ADDRESS, BYTES],
    handleLocalLocators: [list(locator)],
    handleHostSuspicion: [list(ADDRESS), oneOf(SUSPICIONS)],
    handleTimeout: [],
    restore: [list(anything)],
    open: [PAIR],
    setSendTimeout: [DURATION],
    close: [TAG],
    fork: [TAG, SELECTOR, optional(PAIR)],
    prefer: [TAG, optional(PAIR)],
    pin: [TAG, optional(PAIR), PIN],
    unpin: [TAG],
    explore: [TAG],
    survey: [SURVEY],
  };
}

/** Of every call. */
export const CALL_NAMES = Object.keys(
  callReaders(() => {
    throw new Error("only the names are asked for");
  }),
) as CallName[];

/** What an endpoint was set to: its configuration but for what is injected. */
export type Settings = Omit<EndpointConfig, "random" | "keyedHash" | "identity">;

const FAIL_BACK = record({ hold: DURATION, maxHold: DURATION });

const SETTINGS = {
  security: oneOf(["verified", "unverified"]),
  sendTimeout: DURATION,
  detect: lenient(oneOf(["adaptive", "rfc"])),
  keepaliveTimeout: lenient(DURATION),
  contextIdleTimeout: DURATION,
  deliverAllIcmp: lenient(flag),
  failBack: lenient(FAIL_BACK),
  encapsulation: lenient(record({ port: whole(0xffff) })),
  maxContexts: COUNT,
  maxContextsPerPrefix: lenient(COUNT),
} satisfies { readonly [Name in keyof Settings]-?: Reader<Settings[Name] | undefined> };

export const readSettings = record(SETTINGS) as Reader<Settings>;

/** @param config may have more, such as the rest of a daemon's configuration */
export function settingsOf(config: Settings): Settings {
  const names = Object.keys(SETTINGS) as (keyof Settings)[];
  return Object.fromEntries(names.map((name) => [name, config[name]])) as unknown as Settings;
}
