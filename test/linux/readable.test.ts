import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterEach, describe, expect, test } from "vitest";
import { NetlinkSocket } from "../../src/linux/netlink-socket.ts";
import { type ReadableWatch, watchReadable } from "../../src/linux/readable.ts";
import { RouteEditor } from "../../src/linux/route-editor.ts";
import { RouteMonitor } from "../../src/linux/route-monitor.ts";

const NETLINK_ROUTE = 0;
const RTM_GETLINK = 18;
const NLM_F_DUMP = 0x300;

const open: { close(): void }[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.close();
});

/** A socket that has an answer of the kernel to read. */
function readableSocket(): NetlinkSocket {
  const socket = new NetlinkSocket(NETLINK_ROUTE);
  socket.send(RTM_GETLINK, NLM_F_DUMP, new Uint8Array(16), "ask for the links");
  return socket;
}

function watch(
  socket: NetlinkSocket,
  onReadable: () => void,
  onError: (error: Error) => void,
): ReadableWatch {
  const watching = watchReadable(socket.fd, onReadable, onError);
  open.push(watching, socket);
  return watching;
}

describe("watching a descriptor", () => {
  test("it calls as long as something is left to read, and no longer", async () => {
    const socket = readableSocket();
    let calls = 0;
    let messages = 0;
    await new Promise<void>((resolve, reject) => {
      const onReadable = (): void => {
        calls++;
        if (calls < 3) return;
        while (socket.receive("read the links") !== undefined) messages++;
        setImmediate(() => setImmediate(resolve));
      };
      watch(socket, onReadable, reject);
    });
    expect(calls).toBe(3);
    expect(messages).toBeGreaterThan(0);
  });

  test("it rests for as long as it is told to, though something is left to read", async () => {
    const socket = readableSocket();
    const calls: number[] = [];
    await new Promise<void>((resolve, reject) => {
      const watching = watch(
        socket,
        () => {
          calls.push(performance.now());
          if (calls.length === 3) return resolve();
          watching.rest(30);
          watching.rest(1);
        },
        reject,
      );
    });
    const pauses = calls.slice(1).map((at, i) => at - (calls[i] ?? 0));
    for (const pause of pauses) expect(pause).toBeGreaterThan(28);
  });

  test("a watch that is closed while it rests calls no more", async () => {
    const socket = readableSocket();
    let calls = 0;
    await new Promise<void>((resolve, reject) => {
      const watching = watch(
        socket,
        () => {
          calls++;
          watching.rest(5);
          watching.close();
          setTimeout(resolve, 20);
        },
        reject,
      );
    });
    expect(calls).toBe(1);
  });

  test("it calls again in the next turn when it is told to, though nothing is left to read", async () => {
    const socket = readableSocket();
    const events: string[] = [];
    await new Promise<void>((resolve, reject) => {
      const watching = watch(
        socket,
        () => {
          const isEmpty = socket.receive("read the links") === undefined;
          events.push(isEmpty ? "empty" : "read");
          if (isEmpty && events.includes("turn")) return resolve();
          if (isEmpty) setImmediate(() => events.push("turn"));
          watching.again();
          watching.again();
        },
        reject,
      );
    });
    expect(events.slice(-3)).toEqual(["empty", "turn", "empty"]);
  });

  test("it polls anew after it was not told to call again, and after an error", async () => {
    const socket = readableSocket();
    const errors: string[] = [];
    let calls = 0;
    await new Promise<void>((resolve) => {
      const watching = watch(
        socket,
        () => {
          calls++;
          if (calls === 1) return watching.again();
          if (calls === 2) throw new Error("odd message");
          while (socket.receive("read the links") !== undefined);
          setImmediate(() => setImmediate(resolve));
        },
        ({ message }) => errors.push(message),
      );
    });
    expect(calls).toBe(3);
    expect(errors).toEqual(["odd message"]);
  });

  test("a watch that is closed before it calls again calls no more", async () => {
    const socket = readableSocket();
    let calls = 0;
    await new Promise<void>((resolve, reject) => {
      const watching = watch(
        socket,
        () => {
          calls++;
          watching.again();
          watching.close();
          setTimeout(resolve, 20);
        },
        reject,
      );
    });
    expect(calls).toBe(1);
  });

  test("what the reader throws is reported, and watching goes on", async () => {
    const socket = readableSocket();
    const errors: string[] = [];
    await new Promise<void>((resolve) => {
      const onReadable = (): void => {
        throw new Error(`reading failed ${errors.length}`);
      };
      watch(socket, onReadable, (error) => {
        errors.push(error.message);
        if (errors.length === 3) resolve();
      });
    });
    expect(errors.slice(0, 3)).toEqual([
      "reading failed 0",
      "reading failed 1",
      "reading failed 2",
    ]);
  });

  test("a watch that is closed calls no more, and may be closed again", async () => {
    const socket = readableSocket();
    let calls = 0;
    await new Promise<void>((resolve, reject) => {
      const watching = watch(
        socket,
        () => {
          calls++;
          watching.close();
          watching.close();
          setTimeout(resolve, 0);
        },
        reject,
      );
    });
    expect(calls).toBe(1);
  });
});

test("garbage collection ends no watch, and bears with closed ones", async () => {
  setFlagsFromString("--expose-gc");
  const collectGarbage: () => void = runInNewContext("gc");
  const changes: unknown[] = [];
  const failed = (error: Error): void => {
    changes.push(error);
  };
  for (let i = 0; i < 20; i++) {
    new RouteMonitor({ changed: () => undefined, failed }).close();
    collectGarbage();
  }
  await new Promise<void>((resolve, reject) => {
    let calls = 0;
    const socket = readableSocket();
    const onReadable = (): void => {
      collectGarbage();
      calls++;
      if (calls === 5) resolve();
    };
    watch(socket, onReadable, reject);
    collectGarbage();
  });
  expect(changes).toEqual([]);
});

describe("without any privilege", () => {
  test("the tables of the network can be read and followed", () => {
    const editor = new RouteEditor();
    const monitor = new RouteMonitor({ changed: () => undefined, failed: () => undefined });
    open.push(editor, monitor);
    const names = editor.read().links.map(({ name }) => name);
    expect(names).toContain("lo");
    expect(monitor.table.links.map(({ name }) => name)).toEqual(names);
  });
});
