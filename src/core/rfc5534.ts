import { type Duration, seconds } from "./time.ts";

/** The constants of RFC 5534 sections 4.3 and 7. */
export const INITIAL_PROBE_TIMEOUT: Duration = seconds(0.5);
export const NUMBER_OF_INITIAL_PROBES = 4;
export const MAX_PROBE_TIMEOUT: Duration = seconds(60);

/** Default of the Send Timeout, and of the Keepalive Timeout where the peer announced none. */
export const SEND_TIMEOUT: Duration = seconds(15);
