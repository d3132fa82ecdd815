import { type Duration, minutes, seconds } from "./time.ts";

/** The constants of RFC 5533 section 14. */
export const I1_RETRIES_MAX = 4;
export const I1_TIMEOUT: Duration = seconds(4);
export const NO_R1_HOLDDOWN_TIME: Duration = minutes(1);
export const ICMP_HOLDDOWN_TIME: Duration = minutes(10);
export const I2_RETRIES_MAX = 2;
export const I2_TIMEOUT: Duration = seconds(4);
export const I2BIS_RETRIES_MAX = 2;
export const I2BIS_TIMEOUT: Duration = seconds(4);
export const VALIDATOR_MIN_LIFETIME: Duration = seconds(30);

export const UPDATE_TIMEOUT: Duration = seconds(4);
export const MAX_UPDATE_TIMEOUT: Duration = seconds(120);

/** Octets of a control message at most, the IPv6 header included (section 5.1). */
export const CONTROL_PACKET_MAX = 1280;

/** The Error Codes of Table 2 (section 5.14). */
export const ERROR_UNKNOWN_TYPE = 0;
export const ERROR_CRITICAL_OPTION = 1;
export const ERROR_LOCATOR_VERIFICATION = 2;
export const ERROR_GENERATION = 3;
export const ERROR_PREFERENCE_COUNT = 4;

/** The flag octet of Locator Preferences (section 5.15.3). */
export const LOCATOR_BROKEN = 0x01;
export const LOCATOR_TRANSIENT = 0x02;
