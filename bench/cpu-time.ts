/**
 * Microseconds of processor time that this process has taken, in all threads. Other than the
 * clock it does not count what other work on the machine takes.
 */
export function cpuTime(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}
