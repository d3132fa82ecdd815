import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { inject } from "../../src/lab/failure.ts";
import type { Flow } from "../../src/lab/flow.ts";
import { startTcp } from "../../src/lab/flows.ts";
import { inNamespace, ipBatchIn, poll, run } from "../../src/lab/shell.ts";
import { LINK_MTU, literal, type Topology } from "../../src/lab/topology.ts";
import { TestNamespace } from "./support/namespaces.ts";
import { PATIENCE, untilMoves } from "./support/progress.ts";
import { A1, A2, B_TO_A, B1, ShimLab } from "./support/shim-lab.ts";
import { WholeDatagrams } from "./support/whole-datagrams.ts";
import { disableOffloads, tshark, WireCapture } from "./support/wire-capture.ts";

const B3 = literal("2001:db8:3:b::1");
/** A's and B's second paths meet in the core, so that a narrow link lies between two routers. */
const TOPOLOGY: Topology = {
  isps: ["isp1", "isp2", "isp3"],
  hosts: [
    {
      name: "a",
      uplinks: [
        { isp: "isp1", address: A1 },
        { isp: "isp2", address: A2 },
      ],
    },
    {
      name: "b",
      uplinks: [
        { isp: "isp1", address: B1 },
        { isp: "isp3", address: B3 },
      ],
    },
  ],
};

/** Octets that the link between ISP 2 and the core carries. */
const NARROW_MTU = 1400;
const PAYLOAD_HEADER_LENGTH = 8;
const ETHERNET_HEADER_LENGTH = 14;
/** What is left for the ULP (RFC 5533 section 8). */
const ULP_MTU = NARROW_MTU - PAYLOAD_HEADER_LENGTH;
const FULL_ULP_MTU = LINK_MTU - PAYLOAD_HEADER_LENGTH;
const PACKET_TOO_BIG = "icmpv6.type == 2";
const DISCARD_PORT = 5009;
const MEGABYTE = 1_000_000;

describe("a second path that carries smaller packets", () => {
  let lab: ShimLab;
  let captures: Record<"a" | "b", WireCapture>;
  let transfer: Flow;

  beforeAll(async () => {
    lab = await ShimLab.open({ shims: [], topology: TOPOLOGY });
    await disableOffloads(lab.network);
    await ipBatchIn(lab.network.namespace("isp2"), [`link set dev core mtu ${NARROW_MTU}`]);
    await ipBatchIn(lab.network.namespace("core"), [`link set dev isp2 mtu ${NARROW_MTU}`]);
    await Promise.all([lab.startDaemon("a"), lab.startDaemon("b")]);
    captures = { a: await capture("a", "isp2"), b: await capture("b", "isp3") };
    // A itself sends nothing that is too big, until a test does.
    transfer = await startTcp(lab.network, { ...B_TO_A, port: 5001, rate: 2 * MEGABYTE });
    await lab.untilAll(["a", "b"], "established", 0);
    const { at } = await inject(lab.network, {
      ...{ kind: "silent-loss", isp: "isp1", direction: "both" },
    });
    await lab.untilAll(["a", "b"], "recovered", at);
  });

  afterAll(async () => {
    await lab.close();
  });

  function capture(host: string, device: string): Promise<WireCapture> {
    return WireCapture.start(lab.network, host, device, join(lab.lab.directory, `${host}.pcap`));
  }

  /** What the kernel of `host` takes for the MTU of the ULID pair. */
  async function routeMtu(host: string, source: string, destination: string): Promise<number> {
    const command = ["ip", "-6", "route", "get", destination, "from", source];
    const route = await run(inNamespace(lab.network.namespace(host), command));
    return Number(/\bmtu (\d+)/.exec(route)?.[1]);
  }

  test("TCP goes on with full segments, and its route knows the MTU less 8", async () => {
    expect(await lab.context("a")).toMatchObject({ localLocator: A2, peerLocator: B3 });
    await untilMoves(transfer, 5 * MEGABYTE);
    expect(await routeMtu("b", B1, A1)).toBe(ULP_MTU);
  });

  test("a UDP sender that forbids fragments is told the MTU less 8", async () => {
    const host = new TestNamespace(lab.network.namespace("a"));
    const socket = host.enter(() => new WholeDatagrams(A1, B1, DISCARD_PORT));
    try {
      expect(socket.pathMtu).toBe(FULL_ULP_MTU);
      const refused = () => !socket.send(FULL_ULP_MTU) || undefined;
      expect(await poll(refused, { timeout: PATIENCE })).toBe(true);
      expect(socket.pathMtu).toBe(ULP_MTU);
      // Each error that came in meanwhile refuses one more datagram, whatever its size.
      const taken = () => socket.send(ULP_MTU) || undefined;
      expect(await poll(taken, { timeout: PATIENCE })).toBe(true);
      expect(socket.send(ULP_MTU + 1)).toBe(false);
    } finally {
      socket.close();
    }
  });

  test("on the wire Packet Too Big names the locators, and packets fill the narrow link", async () => {
    expect((await transfer.stop()).damage).toEqual([]);
    for (const recording of Object.values(captures)) await recording.stop();
    const fields = ["icmpv6.mtu", "ipv6.src", "ipv6.dst"];
    for (const [recording, source, destination] of [
      [captures.a, A2, B3],
      [captures.b, B3, A2],
    ] as const) {
      const errors = await tshark(recording.file, PACKET_TOO_BIG, ...fields);
      expect(errors.length).toBeGreaterThan(0);
      for (const [mtu, from = "", to = ""] of errors) {
        expect(mtu).toBe(`${NARROW_MTU}`);
        // Of the error itself, then of the packet in error.
        expect(from.split(",")[1]).toBe(source);
        expect(to.split(",")).toEqual([source, destination]);
      }
      const arrived = `shim6.p == 1 and ipv6.src == ${destination} and not icmpv6`;
      const lengths = (await tshark(recording.file, arrived, "frame.len")).flat().map(Number);
      expect(Math.max(...lengths)).toBe(NARROW_MTU + ETHERNET_HEADER_LENGTH);
      expect(await tshark(recording.file, "ipv6.fraghdr", "frame.number")).toEqual([]);
    }
  });
});
