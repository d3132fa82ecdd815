import koffi, { type node } from "koffi";

export interface ReadableWatch {
  /** Calls nothing for so many milliseconds, whatever there is to read. */
  rest(milliseconds: number): void;
  /** Ends the watch; call it before the descriptor is closed. Safe to call twice. */
  close(): void;
}

/** koffi's poll handles end when they are collected; this set is what keeps them. */
const handles = new Set<node.PollHandle>();

const EVENTS = { readable: true };

/**
 * Calls `onReadable` from the event loop whenever the descriptor has something to read or an
 * error to tell (level triggered: unread data calls again after other events had their turn).
 * What it throws goes to `onError`, a little later.
 *
 * This is libuv's poll: the quickest wake-up of those measured, against reads in libuv's thread
 * pool and against a worker thread that blocks in recvmmsg and posts messages.
 */
export function watchReadable(
  fd: number,
  onReadable: () => void,
  onError: (error: Error) => void,
): ReadableWatch {
  let resting: NodeJS.Timeout | undefined;
  const onPoll = (...event: unknown[]): void => {
    // koffi passes (status, events), unlike its declaration. A negative status stands for
    // POLLERR, e.g. a netlink overrun: libuv stops polling, and reading tells which error.
    const stopped = Number(event[0]) < 0;
    // An exception that leaves this callback stays pending until some later call, or until a
    // garbage collection that finds it and aborts the process.
    try {
      onReadable();
    } catch (error) {
      setImmediate(() => onError(error instanceof Error ? error : new Error(String(error))));
    }
    if (stopped && resting === undefined) watch();
  };
  const watch = (): void => {
    resting = undefined;
    if (handles.has(handle)) handle.start(EVENTS, onPoll);
  };
  const handle = koffi.node.poll(fd, EVENTS, onPoll);
  handles.add(handle);
  return {
    rest(milliseconds) {
      if (resting !== undefined || !handles.has(handle)) return;
      handle.stop();
      resting = setTimeout(watch, milliseconds);
    },
    close() {
      clearTimeout(resting);
      if (handles.delete(handle)) handle.close();
    },
  };
}
