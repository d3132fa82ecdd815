import type { FailBackPolicy } from "./config.ts";
import { type Duration, milliseconds, minutes, seconds } from "./time.ts";

/** Our own choices, where the standards leave one. */

/** RFC 5533 section 9 asks for at least 5 minutes. */
export const CONTEXT_IDLE_TIMEOUT: Duration = minutes(10);
export const MAX_CONTEXTS = 65_536;
/** Of them with peers in one /64: more than any link has hosts that talk to one host. */
export const MAX_CONTEXTS_PER_PREFIX = 4096;

/** Of the contexts that a prefix has had for longest, so many compete for being given up. */
export const EVICTION_CANDIDATES = 16;

/** Keepalive Interval as a share of the Keepalive Timeout (RFC 5534 section 4.1: 1/3 to 1/2). */
export const KEEPALIVES_PER_TIMEOUT = 3;

/**
 * Without a timer that runs, the traffic is read once in a Keepalive Interval, all contexts' at
 * instants that divide it in so many parts.
 */
export const READINGS_PER_SPAN = 4;

/**
 * Not even that once its payload has rested for this long: then the data plane says when it goes on.
 * A context that sends more often than this is cheaper to read than to be told of.
 */
export const QUIET_TIME: Duration = seconds(5);

/**
 * The Send Timeout of a context is longer than what the peer is told by up to this share, so
 * that many contexts that fail together don't explore in step (RFC 5534 section 4.1).
 */
export const SEND_TIMEOUT_JITTER = 0.05;

/** Backed-off probe intervals vary by this share either way, so that hosts don't synchronize. */
export const PROBE_JITTER = 0.2;

/** Reports in one Probe beside the probe itself: enough for 2x2 pairs, far below 1280 octets. */
export const SENT_REPORTS_MAX = 4;
export const RECEIVED_REPORTS_MAX = 8;

/** Probes of ours that a peer's report can still name. */
export const PROBES_REMEMBERED = 64;

/** Locators that we offer. */
export const LOCATORS_MAX = 16;

/** Locators that we take from a peer: as many as a list in 1280 octets can hold. */
export const PEER_LOCATORS_MAX = 70;

/** The verification method of a locator without proof: experimental use (RFC 5533 Table 4). */
export const METHOD_UNVERIFIED = 201;

/** The secret behind the validators is replaced this often; the one before stays valid. */
export const VALIDATOR_SECRET_LIFETIME: Duration = seconds(600);

/** R1, R1bis and Error messages to whoever asks: in a second on average, and at once. */
export const ANSWERS_PER_SECOND = 1000;
export const ANSWERS_BURST = 2000;

/** RSA verifications for peers' lists: in a second on average, and at once. */
export const SIGNATURE_CHECKS_PER_SECOND = 200;
export const SIGNATURE_CHECKS_BURST = 400;

/** Proofs of our own locators, and checked claims of peers, that are remembered. */
export const CACHED_PROOFS = 256;
export const CACHED_CLAIMS = 4096;

/**
 * Probes of explorations that nobody asked for, I2 and I2bis, to locators in one /64 that have not
 * answered: in a second on average, and at once. Peers that all name a victim's addresses can't
 * make us send it more.
 */
export const UNPROVEN_PACKETS_PER_SECOND = 50;
export const UNPROVEN_PACKETS_BURST = 500;

/** Prefixes whose budgets are remembered. */
export const BUDGETED_PREFIXES = 4096;

/** I2 and I2bis are repeated for packets of the peer's at most this often. */
export const REPETITION_INTERVAL: Duration = seconds(0.5);

/**
 * Told to peers as Keepalive Timeout by a host that looks for failures before its Send Timeout:
 * where payload goes one way only, their keepalives, one a second, are all that answers it.
 */
export const ADAPTIVE_KEEPALIVE_TIMEOUT: Duration = seconds(3);

/** Silences no longer than this are never suspicious: TCP delays acknowledgements that long. */
export const SUSPICION_FLOOR: Duration = milliseconds(200);
/** A silence is suspicious when it is longer than any answer of late by this factor. */
export const GAP_MARGIN = 1.25;
/** Answers are remembered for this long at least, and twice as long at most. */
export const GAP_MEMORY: Duration = minutes(1);
/** Packets that leave within this span are one burst: nothing has been sent again yet. */
export const BURST_LENGTH: Duration = milliseconds(10);
/** Whether payload leaves again without an answer is looked at this often at most. */
export const RECHECK_MIN: Duration = milliseconds(50);
/**
 * How long answers take is measured so long after an exchange or an exploration: a peer that has
 * missed its last message asks again before, as long as nothing tells it that all is well.
 */
export const MEASUREMENT_DELAY: Duration = seconds(0.6);
/** Limits for the time that each probe of a test of the current pair is given. */
export const TEST_WAIT_MIN: Duration = milliseconds(75);
export const TEST_WAIT_MAX: Duration = seconds(1);

/** ICMPv6 errors, which anybody can forge, start an exploration of a context this often at most. */
export const SUSPICION_INTERVAL: Duration = seconds(5);

/** A better pair must have answered probes for this long before a context returns to it. */
export const FAIL_BACK: FailBackPolicy = { hold: seconds(30), maxHold: minutes(10) };

/** Probes to better pairs, of all contexts together: in a second on average, and at once. */
export const FAIL_BACK_PROBES_PER_SECOND = 100;
export const FAIL_BACK_PROBES_BURST = 100;

/** Better pairs that a context watches. */
export const WATCHED_PAIRS_MAX = 4;

/** A probe to a better pair is repeated so often, after this time each; then it has no answer. */
export const FAIL_BACK_TRIES = 3;
export const FAIL_BACK_ANSWER_TIME: Duration = seconds(1);

/**
 * Between probes to a better pair, in Send Timeouts of the peer: more than one, as each probe has
 * the peer restart its Send Timer, which would never run out else.
 */
export const FAIL_BACK_SEND_TIMEOUTS = 1.2;
/** And at most this, unless the Send Timeout asks for more. */
export const FAIL_BACK_INTERVAL_MAX: Duration = minutes(1);
/** These intervals are longer by up to this share, so that contexts don't probe in step. */
export const FAIL_BACK_JITTER = 0.2;

/** Locator pairs that one survey tries. */
export const SURVEYED_PAIRS_MAX = 16;
/** Surveys at one time. */
export const SURVEYS_MAX = 16;
/** The last questions of a survey are given this long for their answers. */
export const SURVEY_ANSWER_TIME: Duration = seconds(1);

/** A failure counts half after so many of the longest hold times without another one. */
export const FAIL_BACK_CALM = 2;

/** Better pairs are probed while the peer was heard, and nothing waits for an answer, for this long. */
export const STEADY_TIME: Duration = seconds(1);
