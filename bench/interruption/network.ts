import type { Network } from "../../src/lab/network.ts";
import { inNamespace, run } from "../../src/lab/shell.ts";
import type { Address } from "../../src/wire/address.ts";

/** Octets in 100 ms that count as flowing again: half of what a link carries. */
export const HALF_A_LINK = 625_000;

/** So many Mbit/s on each uplink, in both directions. */
export async function shape(network: Network, rate = 100): Promise<void> {
  const ends = network.topology.hosts.flatMap(({ name, uplinks }) =>
    uplinks.flatMap(({ isp }) => [
      { node: name, device: isp },
      { node: isp, device: name },
    ]),
  );
  for (const { node, device } of ends) {
    const shaper = `tbf rate ${rate}mbit burst 64kb latency 20ms`.split(" ");
    const command = ["tc", "qdisc", "add", "dev", device, "root", ...shaper];
    await run(inNamespace(network.namespace(node), command));
  }
}

/** An uplink of a host, as Multipath TCP has to be told of it. */
export interface MptcpUplink {
  readonly device: string;
  readonly address: Address;
  readonly router: string;
}

/**
 * What an administrator does for Multipath TCP: each uplink's own address goes out by it, and the
 * second one is known to the path manager.
 * @param role of the second uplink: the client opens subflows on it, the server tells of it
 */
export async function configureMptcp(
  namespace: string,
  [first, second]: readonly [MptcpUplink, MptcpUplink],
  role: readonly ("subflow" | "fullmesh" | "backup" | "signal")[],
): Promise<void> {
  const ip = (...argv: string[]) => run(inNamespace(namespace, ["ip", ...argv]));
  for (const [index, { device, address, router }] of [first, second].entries()) {
    const table = `${100 + index}`;
    const route = ["default", "via", router, "dev", device, "table", table];
    await ip("-6", "rule", "add", "from", address, "lookup", table);
    await ip("-6", "route", "add", ...route);
  }
  await ip("mptcp", "limits", "set", "subflows", "4", "add_addr_accepted", "4");
  await ip("mptcp", "endpoint", "add", second.address, "dev", second.device, ...role);
}
