import koffi, { type node } from "koffi";

export interface ReadableWatch {
  /** Calls nothing for so many milliseconds, whatever there is to read. */
  rest(milliseconds: number): void;
  /**
   * Calls back in the event loop's next turn, whether there is something to read then or not. The
   * kernel has nobody to wake until then, which its senders would have to do for each message.
   */
  again(): void;
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
  /** Takes back what is to end a pause; `undefined` while the descriptor is polled. */
  let cancelPause: (() => void) | undefined;
  const read = (): void => {
    // An exception that leaves a callback of koffi's stays pending until some later call, or until
    // a garbage collection that finds it and aborts the process.
    try {
      onReadable();
    } catch (error) {
      setImmediate(() => onError(error instanceof Error ? error : new Error(String(error))));
    }
  };
  const onPoll = (...event: unknown[]): void => {
    // koffi passes (status, events), unlike its declaration. A negative status stands for
    // POLLERR, e.g. a netlink overrun: libuv stops polling, and reading tells which error.
    const stopped = Number(event[0]) < 0;
    read();
    if (stopped && cancelPause === undefined) watch();
  };
  const watch = (): void => {
    cancelPause = undefined;
    if (handles.has(handle)) handle.start(EVENTS, onPoll);
  };
  const handle = koffi.node.poll(fd, EVENTS, onPoll);
  handles.add(handle);
  return {
    rest(milliseconds) {
      if (cancelPause !== undefined || !handles.has(handle)) return;
      handle.stop();
      const timer = setTimeout(watch, milliseconds);
      cancelPause = () => clearTimeout(timer);
    },
    again() {
      if (cancelPause !== undefined || !handles.has(handle)) return;
      handle.stop();
      const turn = setImmediate(() => {
        cancelPause = undefined;
        read();
        if (cancelPause === undefined) watch();
      });
      cancelPause = () => clearImmediate(turn);
    },
    close() {
      cancelPause?.();
      if (handles.delete(handle)) handle.close();
    },
  };
}
