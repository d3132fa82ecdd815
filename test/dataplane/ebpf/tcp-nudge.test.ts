import { expect, test } from "vitest";
import { encodeTcpQuery } from "../../../src/dataplane/ebpf/layout.ts";
import { nudges } from "../../../src/dataplane/ebpf/tcp-nudge.ts";
import { BACKOFF_STEPS } from "../../../src/dataplane/tcp-hints.ts";
import type { BpfMap } from "../../../src/linux/bpf-map.ts";
import type { BpfProgram } from "../../../src/linux/bpf-program.ts";
import type { TcpConnection } from "../../../src/linux/socket-diag.ts";
import { addressToBytes } from "../../../src/wire/address.ts";
import { icmpChecksum, parseIcmpError } from "../../../src/wire/icmp6.ts";
import { ULIDS } from "./support/contexts.ts";

const PROGRAM = {} as unknown as BpfProgram;
const LOCAL = addressToBytes(ULIDS.local);

/** The kernel, in which some connections wait from a sequence number to another one. */
function nudgesOf(waiting: [TcpConnection, unacknowledged: number, next: number][], mtu?: number) {
  let query = new Uint8Array(0);
  const map = {
    update: (_key: Uint8Array, value: Uint8Array) => {
      query = value.slice();
    },
    lookup: (_key: Uint8Array, value: Uint8Array) => {
      value.set(query);
      return true;
    },
  } as unknown as BpfMap;
  const runProgram = (program: BpfProgram): void => {
    expect(program).toBe(PROGRAM);
    for (const [connection, unacknowledged, next] of waiting) {
      const own = encodeTcpQuery(ULIDS, connection).subarray(0, 36);
      if (Buffer.compare(own, query.subarray(0, 36)) !== 0) continue;
      const view = new DataView(query.buffer);
      for (const [i, value] of [1, unacknowledged, next].entries()) {
        view.setUint32(36 + 4 * i, value, true);
      }
    }
  };
  const tcpConnections = (): TcpConnection[] => waiting.map(([connection]) => connection);
  return nudges(ULIDS, mtu, { map, program: PROGRAM }, { tcpConnections, runProgram });
}

function read(message: Uint8Array) {
  const error = parseIcmpError(message);
  if (!error.ok) throw new Error(error.error);
  const { type, parameter, packetInError } = error.value;
  const view = new DataView(packetInError.slice().buffer);
  const ports = [view.getUint16(40), view.getUint16(42)];
  return { type, parameter, ports, sequence: view.getUint32(44) };
}

const FIRST = { localPort: 1000, peerPort: 80 };
const SECOND = { localPort: 1001, peerPort: 80 };

test("each connection that waits is told its own sequence number: the MTU once, then the hints", () => {
  const messages = nudgesOf(
    [
      [FIRST, 0xffff_fff0, 5],
      [SECOND, 7, 9],
    ],
    1492,
  );
  const told = messages.map(read);
  expect(told).toHaveLength(2 * (1 + BACKOFF_STEPS));
  const tooBig = { type: 2, parameter: 1492, ports: [1000, 80], sequence: 0xffff_fff0 };
  expect(told[0]).toEqual(tooBig);
  const hint = { type: 1, parameter: 0, ports: [1001, 80], sequence: 7 };
  expect(told.slice(-BACKOFF_STEPS)).toEqual(Array.from({ length: BACKOFF_STEPS }, () => hint));
  expect(messages.map((message) => icmpChecksum(LOCAL, LOCAL, message))).toEqual(told.map(() => 0));
});

test("without a new MTU there are hints alone", () => {
  expect(nudgesOf([[FIRST, 1, 2]]).map((message) => read(message).type)).toEqual(
    Array.from({ length: BACKOFF_STEPS }, () => 1),
  );
});

test("a connection that waits for nothing, or has gone, is told nothing", () => {
  expect(nudgesOf([[FIRST, 3, 3]], 1492)).toEqual([]);
  expect(nudgesOf([], 1492)).toEqual([]);
});
