import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { TcpState } from "../../../src/dataplane/ebpf/layout.ts";
import { TcpNudge } from "../../../src/dataplane/ebpf/tcp-nudge.ts";
import { literal } from "../../../src/lab/topology.ts";
import { ICMP_DESTINATION_UNREACHABLE, ICMP_PACKET_TOO_BIG } from "../../../src/wire/icmp6.ts";

const ULIDS = { local: literal("2001:db8:1:a::1"), peer: literal("2001:db8:1:b::1") };
const CONNECTION = { localPort: 40_000, peerPort: 5001 };
const MAPPED = { mtu: 1492, isSmaller: true };
/** Half a second and a little more: nothing is looked at after that. */
const LONG = 1_000;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A socket, what is sent to its host, and how often it was asked for. */
function setUp(state: TcpState | undefined) {
  const socket = { state, looks: 0 };
  const sent: { type: number; mtu: number; sequence: number }[] = [];
  const nudge = new TcpNudge({
    tcpConnections: () => [CONNECTION],
    tcpState: () => {
      socket.looks += 1;
      return socket.state;
    },
    sendToSelf: (_, bytes) => {
      const view = new DataView(bytes.buffer, bytes.byteOffset);
      sent.push({ type: view.getUint8(0), mtu: view.getUint32(4), sequence: view.getUint32(52) });
    },
    warn: (message) => expect.unreachable(message),
  });
  const nudgeNow = (path = MAPPED) => {
    nudge.nudge(ULIDS, path);
    vi.advanceTimersByTime(2);
  };
  const tooBig = () => sent.filter(({ type }) => type === ICMP_PACKET_TOO_BIG);
  return { socket, sent, nudge, nudgeNow, tooBig };
}

function stateOf(change: Partial<TcpState>): TcpState {
  return { unacknowledged: 1_000, next: 9_000, lost: 6, timeouts: 2, ...change };
}

test("a Packet Too Big and six Destination Unreachable quote what the socket waits for", () => {
  const { sent, nudgeNow } = setUp(stateOf({}));
  nudgeNow();
  const hint = { type: ICMP_DESTINATION_UNREACHABLE, mtu: 0, sequence: 1_000 };
  const hints = Array.from({ length: 6 }, () => hint);
  expect(sent).toEqual([{ type: ICMP_PACKET_TOO_BIG, mtu: 1492, sequence: 1_000 }, ...hints]);
});

test("a socket with nothing on its way is left alone", () => {
  const { sent, nudgeNow } = setUp(undefined);
  nudgeNow();
  expect(sent).toEqual([]);
});

test("back on the null mapping there is no Packet Too Big at first", () => {
  const { nudgeNow, tooBig } = setUp(stateOf({}));
  nudgeNow({ mtu: 1492, isSmaller: false });
  expect(tooBig()).toEqual([]);
});

test("a socket that takes its timeout for spurious and waits is told of 8 octets less, once", () => {
  const { socket, nudgeNow, tooBig } = setUp(stateOf({}));
  nudgeNow();
  vi.advanceTimersByTime(2);
  expect(tooBig()).toHaveLength(1);
  socket.state = stateOf({ unacknowledged: 4_000, lost: 0, timeouts: 0 });
  vi.advanceTimersByTime(LONG);
  const second = { type: ICMP_PACKET_TOO_BIG, mtu: 1484, sequence: 4_000 };
  expect(tooBig().slice(1)).toEqual([second]);
});

test.each([
  ["that recovers", stateOf({ unacknowledged: 2_000 })],
  ["that has had all acknowledged", stateOf({ unacknowledged: 9_000, next: 9_900, lost: 0 })],
  ["that is gone", undefined],
])("a socket %s is told nothing more", (_, state) => {
  const { socket, nudgeNow, tooBig } = setUp(stateOf({}));
  nudgeNow();
  socket.state = state;
  vi.advanceTimersByTime(LONG);
  expect(tooBig()).toHaveLength(1);
});

test("sequence numbers go round", () => {
  const { socket, nudgeNow, tooBig } = setUp(stateOf({ unacknowledged: 0xffff_ff00, next: 0x100 }));
  nudgeNow();
  socket.state = stateOf({ unacknowledged: 0xffff_fff0, next: 0x100, lost: 0 });
  vi.advanceTimersByTime(LONG);
  expect(tooBig()).toHaveLength(2);
});

test("a socket without progress is nudged twice more, 30 and 250 ms later", () => {
  const { nudgeNow, tooBig } = setUp(stateOf({}));
  nudgeNow();
  const told = [30, 1, 223, 1].map((wait) => {
    vi.advanceTimersByTime(wait);
    return tooBig().at(-1)?.mtu;
  });
  expect(told).toEqual([1492, 1484, 1484, 1476]);
});

test("a socket without progress is looked at for half a second", () => {
  const { socket, nudgeNow } = setUp(stateOf({}));
  nudgeNow();
  vi.advanceTimersByTime(LONG);
  const { looks } = socket;
  vi.advanceTimersByTime(LONG);
  expect({ looks, later: socket.looks }).toEqual({ looks: 10, later: 10 });
});

test.each([
  ["without a timeout", { timeouts: 0 }, MAPPED],
  ["whose packets cannot be smaller", {}, { mtu: 1280, isSmaller: true }],
])("a socket %s gets no second Packet Too Big", (_, change, path) => {
  const { socket, nudgeNow, tooBig } = setUp(stateOf(change));
  nudgeNow(path);
  socket.state = stateOf({ unacknowledged: 4_000, lost: 0 });
  vi.advanceTimersByTime(LONG);
  expect(tooBig()).toHaveLength(1);
});

test("nothing is looked at after the end", () => {
  const { socket, nudge, nudgeNow } = setUp(stateOf({}));
  nudgeNow();
  nudge.close();
  vi.advanceTimersByTime(LONG);
  expect(socket.looks).toBe(1);
});
