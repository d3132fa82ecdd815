/**
 * Why the daemon did not do what it was asked to.
 *
 * - `no-daemon`: nobody listens on the socket
 * - `stopped`: the daemon has ended in mid-answer
 * - `forbidden`: this user may not
 * - `bad-request`: what was asked makes no sense
 * - `not-found`: there is no such context
 * - `conflict`: the state of the host or of the context forbids it
 * - `incompatible`: the daemon speaks another version of the API
 * - `failed`: anything else
 */
export type ControlProblem =
  | "no-daemon"
  | "stopped"
  | "forbidden"
  | "bad-request"
  | "not-found"
  | "conflict"
  | "incompatible"
  | "failed";

/** What every call of a client rejects with. */
export class ControlError extends Error {
  override readonly name = "ControlError";
  readonly problem: ControlProblem;

  constructor(problem: ControlProblem, message: string, options?: ErrorOptions) {
    super(message, options);
    this.problem = problem;
  }

  /** There is no daemon, or no more: it may come back. */
  get isWithoutDaemon(): boolean {
    return this.problem === "no-daemon" || this.problem === "stopped";
  }
}

/** @param status of the HTTP answer, not 200 */
export function problemOfStatus(status: number | undefined): ControlProblem {
  switch (status) {
    case 400:
      return "bad-request";
    case 403:
      return "forbidden";
    case 404:
      return "not-found";
    case 409:
      return "conflict";
    default:
      return "failed";
  }
}

/** What has kept a request from its answer, in words. */
export function explainFailure(socket: string, cause: NodeJS.ErrnoException): ControlError {
  const error = (problem: ControlProblem, message: string) =>
    new ControlError(problem, message, { cause });
  switch (cause.code) {
    case "ENOENT":
    case "ECONNREFUSED":
      return error(
        "no-daemon",
        `no daemon listens on ${socket}; start one with \`l3shim daemon\`, or name its socket`,
      );
    case "ECONNRESET":
    case "EPIPE":
      return error("stopped", `the daemon on ${socket} has stopped`);
    case "EACCES":
      return error(
        "forbidden",
        `may not use the control socket ${socket}; run as root, or join the group l3shim`,
      );
    default:
      return error("failed", `cannot talk to the daemon on ${socket}: ${cause.message}`);
  }
}
