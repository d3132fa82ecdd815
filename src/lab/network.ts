import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { joinWithDelay } from "./delayed-link.ts";
import { replaceFilter } from "./filter.ts";
import { endProcesses, removeNamespace } from "./leftovers.ts";
import { Radvd } from "./radvd.ts";
import { inNamespace, ipBatch, ipBatchIn, LabError, run, tryRun, waitFor } from "./shell.ts";
import type { HostSpec, Topology, UplinkSpec } from "./topology.ts";
import { CORE, coreLink, hostSpec, LINK_MTU, uplinkPrefix, uplinkRouter } from "./topology.ts";

/** The start of the name of every namespace that a lab makes; `lab clean` goes by it. */
const NAMESPACE_PREFIX = "l3lab";

let networksMade = 0;

/** A topology brought to life in network namespaces. Make it with {@link Network.create}. */
export class Network {
  readonly topology: Topology;
  /** Namespace names start with this: prefix, process id and a count. */
  readonly id: string;
  readonly #namespaces = new Set<string>();
  readonly #routers = new Map<string, Radvd>();
  /** Of the routers' configurations. */
  #directory: string | undefined;

  private constructor(topology: Topology) {
    this.topology = topology;
    networksMade += 1;
    this.id = `${NAMESPACE_PREFIX}-${process.pid}-${networksMade}`;
  }

  /**
   * Builds the namespaces and checks that packets pass; leaves nothing behind when it can't.
   * @throws LabError naming the command that failed.
   */
  static async create(topology: Topology): Promise<Network> {
    const network = new Network(topology);
    try {
      await network.#build();
      await network.#check();
    } catch (error) {
      await network.destroy();
      throw error;
    }
    return network;
  }

  /** The network namespace of a host, an ISP's router or the core. */
  namespace(node: string): string {
    return `${this.id}-${node}`;
  }

  host(name: string): HostSpec {
    return hostSpec(this.topology, name);
  }

  /** Removes the namespaces and with them links, rules and what still runs inside. */
  async destroy(): Promise<void> {
    for (const namespace of this.#namespaces) await removeNamespace(namespace);
    this.#namespaces.clear();
    if (this.#directory !== undefined) await rm(this.#directory, { recursive: true, force: true });
  }

  /**
   * The ISP takes the uplink's prefix back: its router tells the host so, and nothing for the
   * prefix comes through any more.
   * @param successor the network that the host gets in its place
   */
  async withdrawPrefix(host: HostSpec, uplink: UplinkSpec, successor?: UplinkSpec): Promise<void> {
    const next = successor === undefined ? [] : [successor];
    await this.#run((script) => {
      for (const spec of next) this.#routeToUplink(script, host, spec);
    });
    await this.#filterSources(uplink.isp, next);
    const withdrawn = { prefix: uplinkPrefix(uplink), withdrawn: true };
    const prefixes = next.map((spec) => ({ prefix: uplinkPrefix(spec), withdrawn: false }));
    await this.#routers
      .get(uplink.isp)
      ?.advertise(new Map([[host.name, [withdrawn, ...prefixes]]]));
    await ipBatchIn(this.namespace(CORE), [`route del ${uplinkPrefix(uplink)}`]);
  }

  /** Undoes {@link withdrawPrefix}. */
  async restorePrefix(host: HostSpec, uplink: UplinkSpec): Promise<void> {
    await this.#run((script) => this.#routeToUplink(script, host, uplink));
    await this.#filterSources(uplink.isp);
    const prefixes = [{ prefix: uplinkPrefix(uplink), withdrawn: false }];
    await this.#routers.get(uplink.isp)?.advertise(new Map([[host.name, prefixes]]));
  }

  /**
   * Gives the uplink's address and default route to the host, anew after a link was down. One that
   * is autoconfigured asks its router itself.
   */
  async configureUplink(host: HostSpec, uplink: UplinkSpec): Promise<void> {
    await this.#run((script) => configureUplink(script, host, uplink));
  }

  /** Makes the uplink, with an interface that the host has not, or not any more. */
  async plugIn(host: HostSpec, uplink: UplinkSpec): Promise<void> {
    await this.#run((script) => this.#plugIn(script, host, uplink));
  }

  /**
   * Puts another link between the ISP and the core, which takes `delay` ms in each direction, and
   * carries some Mbit/s.
   */
  async delayCoreLink(isp: string, delay: number): Promise<void> {
    const [near, far] = [this.namespace(isp), this.namespace(CORE)];
    await ipBatchIn(near, [`link delete dev ${CORE}`]);
    await joinWithDelay({ namespace: near, device: CORE }, { namespace: far, device: isp }, delay);
    await this.#run((script) => {
      script.add(isp, `link set dev ${CORE} up`);
      script.add(CORE, `link set dev ${isp} up`);
      this.#addressCoreLink(script, isp);
      for (const host of this.topology.hosts) {
        const uplinks = host.uplinks.filter((uplink) => uplink.isp === isp);
        for (const uplink of uplinks) this.#routeToUplink(script, host, uplink);
      }
    });
  }

  /** Takes the host away at once, with all that runs on it: see {@link boot}. */
  async cutPower(name: string): Promise<void> {
    const namespace = this.namespace(name);
    // Before the links, which take some ms each: a daemon must not see them go.
    await endProcesses(namespace, "SIGKILL");
    // Of themselves they would go some time after the namespace.
    const links = this.host(name).uplinks.map(({ isp }) => `link delete dev ${isp}`);
    await ipBatchIn(namespace, links);
    await removeNamespace(namespace);
  }

  /** Brings a host back after {@link cutPower}: the same addresses, and nothing that it knew. */
  async boot(name: string): Promise<void> {
    const host = this.host(name);
    await this.#addNodes([[name, kindOf(host)]]);
    await this.#run((script) => {
      for (const uplink of host.uplinks) this.#plugIn(script, host, uplink);
    });
    await this.#checkUplinks(host);
  }

  async #build(): Promise<void> {
    const { hosts, isps } = this.topology;
    await this.#addNodes([
      ...hosts.map((host) => [host.name, kindOf(host)] as const),
      ...[...isps, CORE].map((name) => [name, "router"] as const),
    ]);
    await this.#run((script) => {
      for (const isp of isps) this.#joinCore(script, isp);
      for (const host of hosts) {
        for (const uplink of host.uplinks) this.#plugIn(script, host, uplink);
      }
    });
    for (const isp of isps) await this.#filterSources(isp);
    for (const isp of isps) await this.#advertise(isp);
  }

  async #addNodes(nodes: readonly (readonly [name: string, kind: NodeKind])[]): Promise<void> {
    const namespaces = nodes.map(([name]) => this.namespace(name));
    for (const namespace of namespaces) this.#namespaces.add(namespace);
    await ipBatch(namespaces.map((namespace) => `netns add ${namespace}`));
    for (const [name, kind] of nodes) {
      const keys = ["all", "default"].flatMap((interfaces) =>
        SETTINGS[kind].map((setting) => `net.ipv6.conf.${interfaces}.${setting}`),
      );
      const namespace = this.namespace(name);
      if (keys.length > 0) await run(inNamespace(namespace, ["sysctl", "-qw", ...keys]));
    }
    await this.#run((script) => {
      for (const [name] of nodes) script.add(name, "link set lo up");
    });
  }

  /** Runs what `write` puts into a script: one process makes the links, one sets up each node. */
  async #run(write: (script: Script) => void): Promise<void> {
    const script = new Script();
    write(script);
    const end = ({ node, device }: LinkEnd) =>
      `name ${device} mtu ${LINK_MTU} netns ${this.namespace(node)}`;
    const links = script.links.map(
      ([one, other]) => `link add ${end(one)} type veth peer ${end(other)}`,
    );
    if (links.length > 0) await ipBatch(links);
    for (const [node, commands] of script.nodes) await ipBatchIn(this.namespace(node), commands);
  }

  #plugIn(script: Script, host: HostSpec, uplink: UplinkSpec): void {
    const { isp } = uplink;
    script.connect({ node: host.name, device: isp }, { node: isp, device: host.name });
    this.#routeToUplink(script, host, uplink);
    configureUplink(script, host, uplink);
  }

  #joinCore(script: Script, isp: string): void {
    script.connect({ node: isp, device: CORE }, { node: CORE, device: isp });
    this.#addressCoreLink(script, isp);
  }

  #addressCoreLink(script: Script, isp: string): void {
    const link = coreLink(this.topology.isps.indexOf(isp));
    script.add(isp, `address add ${link.isp}/64 dev ${CORE} nodad`);
    script.add(isp, `route add default via ${link.core} dev ${CORE}`);
    script.add(CORE, `address add ${link.core}/64 dev ${isp} nodad`);
  }

  #routeToUplink(script: Script, host: HostSpec, uplink: UplinkSpec): void {
    const { isp } = uplink;
    script.add(isp, `address replace ${uplinkRouter(uplink)}/64 dev ${host.name} nodad`);
    const { isp: ispCoreAddress } = coreLink(this.topology.isps.indexOf(isp));
    script.add(CORE, `route replace ${uplinkPrefix(uplink)} via ${ispCoreAddress} dev ${isp}`);
  }

  /** Where hosts of the ISP are autoconfigured, its router tells them how. */
  async #advertise(isp: string): Promise<void> {
    const clients = this.topology.hosts.flatMap(({ name, autoconfigured, uplinks }) => {
      const uplink = uplinks.find((candidate) => candidate.isp === isp);
      if (!autoconfigured || uplink === undefined) return [];
      return [[name, [{ prefix: uplinkPrefix(uplink), withdrawn: false }]] as const];
    });
    if (clients.length === 0) return;
    this.#directory ??= await mkdtemp(join(tmpdir(), "l3lab-radvd-"));
    const namespace = this.namespace(isp);
    this.#routers.set(isp, await Radvd.start(namespace, this.#directory, new Map(clients)));
  }

  /**
   * BCP 38, as ISPs do: a customer's packet with another ISP's source goes no further.
   * @param replaced prefixes in place of those of the topology
   */
  async #filterSources(isp: string, replaced?: readonly UplinkSpec[]): Promise<void> {
    const rules = this.topology.hosts.flatMap((host) => {
      const uplinks = replaced ?? host.uplinks.filter((uplink) => uplink.isp === isp);
      if (!host.uplinks.some((uplink) => uplink.isp === isp)) return [];
      const prefixes = uplinks.map(uplinkPrefix);
      if (prefixes.length === 0) return [`iifname "${host.name}" drop`];
      return [`iifname "${host.name}" ip6 saddr != { ${prefixes.join(", ")} } drop`];
    });
    await replaceFilter(this.namespace(isp), { table: "bcp38", hook: "forward", rules });
  }

  /**
   * Each host reaches each of its routers, and each ISP all of these. Not the hosts: those answer
   * by their first uplink, whose ISP drops another one's addresses.
   */
  async #check(): Promise<void> {
    const { hosts, isps } = this.topology;
    const routers = hosts.flatMap((host) => host.uplinks.map(uplinkRouter));
    await Promise.all([
      ...hosts.map((host) => this.#checkUplinks(host)),
      ...isps.map((isp) => this.#checkPaths(isp, routers)),
    ]);
  }

  async #checkUplinks(host: HostSpec): Promise<void> {
    await this.#checkPaths(host.name, host.uplinks.map(uplinkRouter));
  }

  /** In one process of the node's, as entering a namespace takes longer than an answer. */
  async #checkPaths(node: string, addresses: readonly string[]): Promise<void> {
    const script = addresses.map((address) => `ping -6 -q -c1 -W1 ${address}`).join(" && ");
    const pings = inNamespace(this.namespace(node), ["sh", "-c", script]);
    await waitFor(async () => ((await tryRun(pings)).code === 0 ? true : undefined), {
      timeout: 10_000,
      timeoutError: () =>
        new LabError(
          `the lab network is up but ${node} can't ping all of ${addresses.join(", ")}: look with ` +
            `"ip netns exec ${this.namespace(node)} ip -6 route", and for firewall rules that new ` +
            `namespaces get${this.#describeRouters()}`,
        ),
    });
  }

  /** What their radvd complain about, where hosts wait for them. */
  #describeRouters(): string {
    const words = [...this.#routers].map(([isp, { errorText }]) => `${isp}: ${errorText}`);
    return words.length === 0 ? "" : `; radvd says: ${words.join("; ")}`;
  }
}

type NodeKind = "host" | "static" | "router";

function kindOf(host: HostSpec): NodeKind {
  return host.autoconfigured ? "host" : "static";
}

/** What a node has in place of the system's own settings. */
const SETTINGS: Readonly<Record<NodeKind, readonly string[]>> = {
  host: [],
  static: ["accept_ra=0", "accept_dad=0"],
  // It keeps its addresses when its end of a link is set down to take the carrier away.
  router: ["accept_ra=0", "accept_dad=0", "forwarding=1", "keep_addr_on_down=1"],
};

interface LinkEnd {
  readonly node: string;
  readonly device: string;
}

/** Links to be made, and then commands of `ip` for each node, in their order. */
class Script {
  readonly links: (readonly [LinkEnd, LinkEnd])[] = [];
  readonly nodes = new Map<string, string[]>();

  add(node: string, command: string): void {
    this.nodes.set(node, [...(this.nodes.get(node) ?? []), command]);
  }

  /** A new link, up at both ends. */
  connect(one: LinkEnd, other: LinkEnd): void {
    this.links.push([one, other]);
    for (const { node, device } of [one, other]) this.add(node, `link set dev ${device} up`);
  }
}

function configureUplink(script: Script, host: HostSpec, uplink: UplinkSpec): void {
  if (host.autoconfigured) return;
  script.add(host.name, `address replace ${uplink.address}/64 dev ${uplink.isp} nodad`);
  script.add(host.name, `route replace ${defaultRoute(host, uplink)}`);
}

/** The host's uplinks in their order: the first one's route has the lowest metric. */
function defaultRoute(host: HostSpec, uplink: UplinkSpec): string {
  const metric = 1024 * (1 + host.uplinks.indexOf(uplink));
  return `default via ${uplinkRouter(uplink)} dev ${uplink.isp} metric ${metric}`;
}
