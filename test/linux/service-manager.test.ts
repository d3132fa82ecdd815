import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  AF_UNIX,
  bindSocket,
  closeDescriptor,
  openSocket,
  receiveBytes,
  SOCK_DGRAM,
} from "../../src/linux/libc.ts";
import { notifyServiceManager } from "../../src/linux/service-manager.ts";

let directory: string;
let manager: number;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "l3shim-notify-"));
  manager = openSocket(AF_UNIX, SOCK_DGRAM, 0, "listen");
});

afterEach(() => {
  closeDescriptor(manager);
  rmSync(directory, { recursive: true });
});

/** Binds as a C program does. */
function listen(name: string): void {
  const address = Buffer.concat([Buffer.from([AF_UNIX, 0]), Buffer.from(name)]);
  bindSocket(manager, address, "listen");
}

function received(): string | undefined {
  const bytes = new Uint8Array(4096);
  const length = receiveBytes(manager, bytes, "listen");
  return length === undefined ? undefined : new TextDecoder().decode(bytes.subarray(0, length));
}

test("states arrive as one message on the manager's socket", () => {
  const path = join(directory, "notify");
  listen(`${path}\0`);
  notifyServiceManager(path, ["READY=1", "STATUS=all is well"]);
  expect(received()).toBe("READY=1\nSTATUS=all is well");
  expect(received()).toBeUndefined();
});

test("a name after @ is one of the abstract name space", () => {
  const name = `l3shim-test-${process.pid}`;
  listen(`\0${name}`);
  notifyServiceManager(`@${name}`, ["STOPPING=1"]);
  expect(received()).toBe("STOPPING=1");
});

test("a manager that is not there, or whose path is too long, is an error that says so", () => {
  expect(() => notifyServiceManager(join(directory, "none"), ["READY=1"])).toThrow(
    "cannot tell the service manager: connect: ENOENT",
  );
  expect(() => notifyServiceManager(`/${"x".repeat(107)}`, ["READY=1"])).toThrow("ENAMETOOLONG");
});
