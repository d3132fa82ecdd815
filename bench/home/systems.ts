import type { Lab } from "../../src/lab/lab.ts";
import type { Network } from "../../src/lab/network.ts";
import { provenAddress } from "../../src/lab/proven-addresses.ts";
import { inNamespace, run, waitFor } from "../../src/lab/shell.ts";
import { ShimDaemon } from "../../src/lab/shim-daemon.ts";
import { HOME_TOPOLOGY, literal } from "../../src/lab/topology.ts";
import type { Address } from "../../src/wire/address.ts";
import { configureMptcp, type MptcpUplink } from "../interruption/network.ts";
import type { System } from "./events.ts";

/** ms */
const PATIENCE = 20_000;

/** What keeps the sessions, and what they run on: each end's address of its first ISP. */
export interface RunningSystem {
  readonly home: Address;
  readonly server: Address;
  /** Resolves when the sessions that run are protected. */
  readonly ready: () => Promise<void>;
}

export function startSystem(system: System, lab: Lab): Promise<RunningSystem> {
  return system === "l3shim" ? startShims(lab) : startMptcp(lab.network);
}

/** As installed. */
async function startShims(lab: Lab): Promise<RunningSystem> {
  const { network, directory } = lab;
  const options = { sendTimeout: 15, security: "verified", detect: "adaptive", directory } as const;
  const hosts = HOME_TOPOLOGY.hosts.map(({ name }) => name);
  const daemons = await Promise.all(hosts.map((host) => ShimDaemon.start(network, host, options)));
  for (const daemon of daemons) lab.defer(() => daemon.stop());
  const addresses = await Promise.all(
    daemons.flatMap((daemon) =>
      network.host(daemon.host).uplinks.map(({ isp }) => provenAddress(daemon, isp)),
    ),
  );
  const [home, , server] = addresses;
  if (home === undefined || server === undefined) throw new RangeError("an uplink is missing");
  const established = () =>
    daemons.every(({ events }) => events.some(({ event }) => event === "established")) || undefined;
  return {
    home,
    server,
    ready: async () => {
      await waitFor(established, {
        timeout: PATIENCE,
        timeoutError: () => new Error("no context was established"),
      });
    },
  };
}

/** The home opens subflows; the server tells it of its second address. */
async function startMptcp(network: Network): Promise<RunningSystem> {
  const uplinks = await Promise.all(
    ["isp1", "isp2", "isp3", "isp4"].map((isp) =>
      findUplink(network, isp === "isp1" || isp === "isp2" ? "a" : "b", isp),
    ),
  );
  const [a1, a2, b1, b2] = uplinks;
  if (!a1 || !a2 || !b1 || !b2) throw new RangeError("an uplink is missing");
  await configureMptcp(network.namespace("a"), [a1, a2], ["subflow", "fullmesh"]);
  await configureMptcp(network.namespace("b"), [b1, b2], ["signal"]);
  return { home: a1.address, server: b1.address, ready: () => Promise.resolve() };
}

/** As the ISP's router has advertised it. */
function findUplink(network: Network, host: string, device: string): Promise<MptcpUplink> {
  const ip = (...argv: string[]) =>
    run(inNamespace(network.namespace(host), ["ip", "-6", ...argv, "dev", device]));
  const found = async () => {
    const addresses = await ip("address", "show", "scope", "global", "-tentative");
    const address = /inet6 (\S+)\/64/.exec(addresses)?.[1];
    const router = /^default via (\S+)/m.exec(await ip("route", "show"))?.[1];
    if (address === undefined || router === undefined) return;
    return { device, address: literal(address), router };
  };
  return waitFor(found, {
    timeout: PATIENCE,
    interval: 200,
    timeoutError: () => new Error(`host ${host} has no address and router on ${device}`),
  });
}
