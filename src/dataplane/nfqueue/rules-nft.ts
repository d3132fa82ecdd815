import type { AddressPair } from "../../core/output.ts";
import { PROTOCOL_ICMPV6 } from "../../wire/ipv6.ts";
import { LOCATOR_MARK } from "../ulid-routes.ts";
import type { RunCommand } from "./command.ts";
import { ICMP_ERROR_TYPES, LINK_ICMP_TYPES, NOT_UNICAST, PATH_ERRORS } from "./rule-constants.ts";
import type { DrillSettings, RewriteSettings, RuleCommand } from "./rules.ts";

const OBSERVE_TABLE = "ip6 l3shim-observe";
const REWRITE_TABLE = "ip6 l3shim-rewrite";
const DRILL_TABLE = "ip6 l3shim-drill";

/**
 * Packets a second of one pair in one direction that the plane is told of, and how many at once
 * before that. The others pass untold and uncounted: one each 5 ms says as much as all, at a
 * fraction of the cost.
 */
const OBSERVED_RATE = 200;
const OBSERVED_BURST = 500;

/** Tables of our own, and in them a set of the mapped ULID pairs. */
export class NftRules implements RuleCommand {
  readonly name = "nft";
  readonly #run: RunCommand;

  constructor(run: RunCommand) {
    this.#run = run;
  }

  async installObserving(group: number, udpPort?: number): Promise<void> {
    await this.#apply(observeScript(group, udpPort));
  }

  async installRewriting(settings: RewriteSettings): Promise<void> {
    await this.#apply(rewriteScript(settings));
  }

  async changeMapped(
    added: readonly AddressPair[],
    removed: readonly AddressPair[],
  ): Promise<void> {
    const lines = [
      ...removed.map((pair) => `delete element ${REWRITE_TABLE} mapped { ${element(pair)} }`),
      ...added.map((pair) => `add element ${REWRITE_TABLE} mapped { ${element(pair)} }`),
    ];
    await this.#apply(`${lines.join("\n")}\n`);
  }

  async installDrill(settings: DrillSettings): Promise<void> {
    await this.#apply(drillScript(settings));
  }

  async removeDrill(): Promise<void> {
    await this.#removeTables([DRILL_TABLE]);
  }

  async remove(): Promise<void> {
    await this.#removeTables([OBSERVE_TABLE, REWRITE_TABLE, DRILL_TABLE]);
  }

  /** Adding comes first, because deleting what is not there is an error. */
  async #removeTables(tables: readonly string[]): Promise<void> {
    await this.#apply(
      tables.map((table) => `add table ${table}\ndelete table ${table}\n`).join(""),
    );
  }

  async #apply(script: string): Promise<void> {
    await this.#run(["nft", "-f", "-"], script);
  }
}

function element({ local, peer }: AddressPair): string {
  return `${local} . ${peer}`;
}

/**
 * Behind the rewriting, whose packets are marked and counted already: they go their way at once.
 * Shim6 messages are no payload, and may come from any number of forged addresses. When the set is
 * full, the packets of further pairs are all told of. A busy pair's packets leave at the fourth
 * rule; what it takes until there is all that observing costs them.
 */
function observeScript(group: number, udpPort: number | undefined): string {
  const rate = `limit rate over ${OBSERVED_RATE}/second burst ${OBSERVED_BURST} packets`;
  const observe = (loopback: string): string => `
    meta mark & ${LOCATOR_MARK} != 0 accept
    ${loopback} accept
    meta l4proto 140 accept
    add @busy { ip6 saddr . ip6 daddr ${rate} } accept
    ip6 daddr ${NOT_UNICAST} accept
    ${udpPort === undefined ? "" : `${shim6InUdp(udpPort)} accept`}
    log group ${group}`;
  return `
table ${OBSERVE_TABLE} {
  set busy {
    type ipv6_addr . ipv6_addr
    size 65536
    flags dynamic,timeout
    timeout 60s
  }
  chain input {
    type filter hook input priority mangle + 5; policy accept;
    ${observe('iif "lo"')}
  }
  chain output {
    type filter hook output priority mangle + 5; policy accept;
    ${observe('oif "lo"')}
  }
}
`;
}

/**
 * Raw payload expressions count bits from the IPv6 header: Next Header of the packet in an
 * ICMPv6 error (octet 54), the P bit of a Shim6 header that follows the IPv6 header (octet 42),
 * the same in the packet in error (octet 90). With a UDP header before it the P bit is 8 octets on
 * (50 and 98), and both ports of the packet in error are at octet 88. "bypass": with the daemon gone nobody binds the
 * queue, and packets pass as if not queued. Protocols go by number: a small system has no
 * /etc/protocols.
 */
function rewriteScript({ queue, inboundHook, withholdErrors, udpPort }: RewriteSettings): string {
  const rewrite = `queue num ${queue} bypass`;
  const errorTypes = `icmpv6 type { ${ICMP_ERROR_TYPES.join(", ")} }`;
  const udp = udpPort === undefined ? undefined : shim6InUdp(udpPort);
  const payload = `meta l4proto 140 jump payload
    ${udp === undefined ? "" : `${udp} jump udp-payload`}`;
  const atInput = inboundHook === "input";
  return `
table ${REWRITE_TABLE} {
  set mapped { type ipv6_addr . ipv6_addr; }
  chain payload {
    ip6 nexthdr 140 @nh,336,1 1 fib daddr type local ${rewrite}
    ip6 nexthdr != 140 fib daddr type local ${rewrite}
  }
  ${udp === undefined ? "" : udpPayloadChain(rewrite)}
  chain icmp-errors {
    ${errorTypes} fib daddr type local @nh,432,8 140 @nh,720,1 1 ${rewrite}
    ${udpPort === undefined ? "" : udpErrorRule(errorTypes, udpPort, rewrite)}
    ${errorTypes} fib daddr type local @nh,432,8 { 0, 43, 60 } ${rewrite}
    ${withholdErrors ? pathErrorRules(rewrite) : ""}
  }
  chain rewrite {
    meta l4proto 140 return
    ${udp === undefined ? "" : `${udp} return`}
    icmpv6 type { ${LINK_ICMP_TYPES.join(", ")} } return
    ${rewrite}
  }
  chain prerouting {
    type filter hook prerouting priority raw; policy accept;
    ${atInput ? "" : payload}
    meta l4proto ${PROTOCOL_ICMPV6} jump icmp-errors
  }
  chain input {
    type filter hook input priority mangle; policy accept;
    ${atInput ? payload : ""}
  }
  chain output {
    type filter hook output priority mangle; policy accept;
    ip6 saddr . ip6 daddr @mapped jump rewrite
  }
}
`;
}

/** "bypass": without the daemon nothing gets lost any more. */
function drillScript({ queue, uplink, pairs, udpPort }: DrillSettings): string {
  const lose = `queue num ${queue} bypass`;
  const linkIcmp = `icmpv6 type { ${LINK_ICMP_TYPES.join(", ")} } accept`;
  const elements = pairs.length === 0 ? "" : `elements = { ${pairs.map(element).join(", ")} }`;
  return `
table ${DRILL_TABLE} {
  set pairs { type ipv6_addr . ipv6_addr; ${elements} }
  chain prerouting {
    type filter hook prerouting priority raw - 5; policy accept;
    iif != ${uplink.link} accept
    meta l4proto 140 fib daddr type local ${lose}
    ${udpPort === undefined ? "" : `${shim6InUdp(udpPort)} fib daddr type local ${lose}`}
    ${linkIcmp}
    ip6 daddr . ip6 saddr @pairs ${lose}
  }
  chain postrouting {
    type filter hook postrouting priority srcnat + 5; policy accept;
    oif != ${uplink.link} accept
    meta mark & ${LOCATOR_MARK} != 0 ${lose}
    ${linkIcmp}
    ip6 saddr . ip6 daddr @pairs ${lose}
  }
}
`;
}

function udpPayloadChain(rewrite: string): string {
  return `chain udp-payload {
    ip6 nexthdr 17 @nh,400,1 1 fib daddr type local ${rewrite}
    ip6 nexthdr != 17 fib daddr type local ${rewrite}
  }`;
}

function shim6InUdp(port: number): string {
  return `udp sport ${port} udp dport ${port}`;
}

function udpErrorRule(errorTypes: string, port: number, rewrite: string): string {
  const ports = port * 0x1_0001;
  return `${errorTypes} fib daddr type local @nh,432,8 17 @nh,704,32 ${ports} @nh,784,1 1 ${rewrite}`;
}

/** Those of the loopback interface are the shim's own hints to TCP. */
function pathErrorRules(rewrite: string): string {
  const { unreachable, codes, timeExceeded } = PATH_ERRORS;
  const local = `iifname != "lo" fib daddr type local ${rewrite}`;
  return [
    `icmpv6 type ${unreachable} icmpv6 code { ${codes.join(", ")} } ${local}`,
    `icmpv6 type ${timeExceeded} ${local}`,
  ].join("\n    ");
}
