/** The words of RFC 2119, and "must" where the text says it small but plainly means a host. */
export type Level =
  | "MUST"
  | "MUST NOT"
  | "SHOULD"
  | "SHOULD NOT"
  | "RECOMMENDED"
  | "MAY"
  | "OPTIONAL"
  | "must";

export type Status = "done" | "not applicable";

/** One requirement, in our words. */
export interface Requirement {
  readonly level: Level;
  readonly summary: string;
  readonly status: Status;
  /** Why it is not done; or how, where the text leaves a choice. */
  readonly note?: string;
  /**
   * What shows it, each "file > title" or "file > describe > title" with the words of the
   * source, so that a row of test.each stands for all its cases.
   */
  readonly tests: readonly string[];
}

export interface Section {
  readonly rfc: 5533 | 5534;
  readonly number: string;
  readonly title: string;
  readonly requirements: readonly Requirement[];
}

/** Something of our own, beside the standards. */
export interface Extension {
  readonly id: string;
  readonly title: string;
  /** The page of docs/ that describes it. */
  readonly page: string;
  readonly requirements: readonly Requirement[];
}

export function done(level: Level, summary: string, ...tests: string[]): Requirement {
  return { level, summary, status: "done", tests };
}

/** Done, in a way that the text leaves open. */
export function chosen(
  level: Level,
  summary: string,
  note: string,
  ...tests: string[]
): Requirement {
  return { level, summary, status: "done", note, tests };
}

export function notApplicable(level: Level, summary: string, note: string): Requirement {
  return { level, summary, status: "not applicable", note, tests: [] };
}
