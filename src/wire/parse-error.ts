import { failure, type Result } from "./result.ts";

/** What is wrong with a Shim6 header. */
export type ParseErrorCode =
  /** The octets end before the header does. */
  | "truncated"
  /** P says payload where a control message was expected, or the other way round. */
  | "wrong-kind"
  /** The S bit is set: a HIP message (RFC 5533 section 5.3). */
  | "s-bit"
  /** Hdr Ext Len is too small for the message type, or not 0 in a payload header. */
  | "header-length"
  /** Psent is 0 (RFC 5534 section 5.2). */
  | "probe-count"
  /** Sta is 3 (RFC 5534 section 5.2). */
  | "probe-state"
  /** An option reaches past the end of the message. */
  | "option-overrun"
  /** An option's Length does not fit its type or its counts. */
  | "option-length"
  /** Element Len of Locator Preferences is 0 or does not divide the elements. */
  | "element-length";

/** Why octets are no Shim6 header. */
export interface ParseError {
  readonly code: ParseErrorCode;
  /** Of the octet at fault, from the Shim6 Next Header octet. */
  readonly offset: number;
  readonly message: string;
}

export function parseFailure(
  code: ParseErrorCode,
  offset: number,
  message: string,
): Result<never, ParseError> {
  return failure({ code, offset, message });
}
