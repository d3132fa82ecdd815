import * as v from "valibot";
import { PROTOCOLS_WITH_PORTS } from "../../core/flow-selector.ts";
import type { AddressPair } from "../../core/output.ts";
import { type Duration, seconds } from "../../core/time.ts";
import type { Pin } from "../../core/view.ts";
import { SNAP_LENGTH } from "../../wire/pcapng-writer.ts";
import { parseAddressPrefix } from "../../wire/prefix.ts";
import { formatTag, parseTag } from "../../wire/tag.ts";
import type { SurveyWish } from "../check/peer-surveys.ts";
import type { DrillWish } from "../drill/drill.ts";
import type { HistoryQuery } from "../history/history.ts";
import { integer, ipv6Address, problemOf, sendTimeoutSeconds, strict } from "../validation.ts";
import type { ForkOrder } from "./forks.ts";
import { RequestError } from "./http.ts";

/** The bodies of the control API's requests (../api.ts), checked and as values of the core. */

function object<const Entries extends v.ObjectEntries>(entries: Entries) {
  return strict(entries, "an object");
}

const prefix = v.pipe(
  v.string('must be an IPv6 prefix such as "2001:db8::/32"'),
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    const parsed = parseAddressPrefix(dataset.value);
    if (parsed !== undefined) return parsed;
    addIssue({ message: 'must be an IPv6 prefix such as "2001:db8::/32", no bit set beyond it' });
    return NEVER;
  }),
);

const tag = v.pipe(
  v.string("must be a context tag in quotes"),
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    const parsed = parseTag(dataset.value);
    if (parsed !== undefined) return parsed;
    addIssue({ message: "must be a context tag, 1 to 12 hex digits" });
    return NEVER;
  }),
);

const port = integer(0, 65_535);
const ports = v.pipe(
  object({ first: port, last: port }),
  v.check(({ first, last }) => first <= last, "first must not be greater than last"),
);

const bits = integer(0, 0xffff_ffff);
const mark = v.pipe(
  object({ value: bits, mask: bits }),
  v.check(
    ({ value, mask }) => (value & ~mask) === 0,
    "value must have no bit that mask has not, or no packet could have it",
  ),
);

const selector = v.pipe(
  object({
    localPrefix: v.optional(prefix),
    peerPrefix: v.optional(prefix),
    protocol: v.exactOptional(integer(0, 255)),
    localPorts: v.exactOptional(ports),
    peerPorts: v.exactOptional(ports),
    dscp: v.exactOptional(integer(0, 63)),
    mark: v.exactOptional(mark),
  }),
  v.check(
    ({ protocol, localPorts, peerPorts }) =>
      protocol === undefined ||
      (localPorts ?? peerPorts) === undefined ||
      PROTOCOLS_WITH_PORTS.includes(protocol),
    `ports go with the protocols ${PROTOCOLS_WITH_PORTS.join(", ")} only`,
  ),
);

const locatorPair = object({ localLocator: ipv6Address, peerLocator: ipv6Address });

const FORK = object({
  selector,
  context: v.optional(tag),
  locators: v.optional(locatorPair),
});
const PIN = object({
  localLocator: v.exactOptional(ipv6Address),
  peerLocator: v.exactOptional(ipv6Address),
  strict: v.optional(v.boolean("must be true or false"), false),
});
const OPEN = object({ localUlid: ipv6Address, peerUlid: ipv6Address });
const SURVEY = object({
  peer: ipv6Address,
  rounds: v.optional(integer(1, 10), 3),
  echoes: v.optional(v.boolean("must be true or false"), true),
});
const DRILL = object({
  uplink: v.string("must be an interface, a locator or a prefix, in quotes"),
  seconds: integer(1, 300, "(seconds)"),
  as: v.optional(v.picklist(["silent", "link-down"], 'must be "silent" or "link-down"'), "silent"),
  force: v.optional(v.boolean("must be true or false"), false),
});
const SEND_TIMEOUT = object({ sendTimeout: sendTimeoutSeconds });

const number = v.pipe(
  v.string(),
  v.regex(/^\d{1,15}$/, "must be a whole number"),
  v.transform(Number),
);

const HISTORY = object({ after: v.optional(number, "0"), context: v.optional(tag) });

/** A part of a list. */
export interface Part {
  /** How many come before it. */
  readonly offset: number;
  readonly limit: number;
}

const PART = object({
  offset: v.optional(number, "0"),
  limit: v.optional(number, "999999999999999"),
});

export interface CaptureQuery {
  /** Octets of each packet of payload; `undefined` for no payload. */
  readonly payload: number | undefined;
}

const CAPTURE = object({
  payload: v.optional(
    v.pipe(
      v.string(),
      v.transform(Number),
      integer(SNAP_LENGTH.least, SNAP_LENGTH.most, "(octets)"),
    ),
  ),
});

/** Each of these throws a {@link RequestError} that names every field that does not fit. */

export function readFork(body: unknown): ForkOrder {
  const { selector, context, locators } = check(FORK, body);
  const { localPrefix, peerPrefix, ...flow } = selector;
  return {
    flow,
    localPrefix,
    peerPrefix,
    context,
    preferred: locators && pairOf(locators),
  };
}

/** `{}` prefers none. */
export function readPrefer(body: unknown): AddressPair | undefined {
  if (v.is(object({}), body)) return undefined;
  return pairOf(check(locatorPair, body));
}

/** Without a pair: the current one. */
export function readPin(body: unknown): { pair: AddressPair | undefined; pin: Pin } {
  const { strict, ...rest } = check(PIN, body);
  return { pair: readPrefer(rest), pin: strict ? "strict" : "until-failure" };
}

export function readOpen(body: unknown): AddressPair {
  const { localUlid, peerUlid } = check(OPEN, body);
  return { local: localUlid, peer: peerUlid };
}

export function readSurvey(body: unknown): SurveyWish {
  return check(SURVEY, body);
}

export function readDrill(body: unknown): DrillWish {
  const { seconds: span, ...wish } = check(DRILL, body);
  return { ...wish, duration: seconds(span) };
}

export function readSendTimeout(body: unknown): Duration {
  return seconds(check(SEND_TIMEOUT, body).sendTimeout);
}

export function readHistoryQuery(parameters: URLSearchParams): HistoryQuery {
  const { after, context } = check(HISTORY, Object.fromEntries(parameters));
  return { after, context: context === undefined ? undefined : formatTag(context) };
}

export function readPart(parameters: URLSearchParams): Part {
  return check(PART, Object.fromEntries(parameters));
}

export function readCaptureQuery(parameters: URLSearchParams): CaptureQuery {
  const { payload } = check(CAPTURE, Object.fromEntries(parameters));
  return { payload };
}

function pairOf({ localLocator, peerLocator }: v.InferOutput<typeof locatorPair>): AddressPair {
  return { local: localLocator, peer: peerLocator };
}

function check<Schema extends v.GenericSchema>(schema: Schema, body: unknown) {
  const result = v.safeParse(schema, body, { abortPipeEarly: true });
  if (result.success) return result.output;
  const lines = result.issues.map(problemOf).map(({ path, text }) => {
    return `${path.length === 0 ? "the request" : path.join(".")}: ${text}`;
  });
  throw new RequestError(400, lines.join("\n"));
}
