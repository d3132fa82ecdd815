import { ESTABLISHMENT } from "./establishment.ts";
import { FORMATS } from "./formats.ts";
import { REAP } from "./reap.ts";
import { RECOVERY } from "./recovery.ts";
import type { Section } from "./row.ts";
import { SESSIONS } from "./sessions.ts";

/** What RFC 5533 sections 4 to 13 and RFC 5534 sections 4 to 7 ask of a host, in their order. */
export const SECTIONS: readonly Section[] = [
  ...FORMATS,
  ...ESTABLISHMENT,
  ...RECOVERY,
  ...SESSIONS,
  ...REAP,
];
