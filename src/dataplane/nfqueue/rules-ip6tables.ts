import type { AddressPair } from "../../core/output.ts";
import { LOCATOR_MARK } from "../ulid-routes.ts";
import type { RunCommand } from "./command.ts";
import { ICMP_ERROR_TYPES, LINK_ICMP_TYPES, NOT_UNICAST, PATH_ERRORS } from "./rule-constants.ts";
import type { DrillSettings, RewriteSettings, RuleCommand } from "./rules.ts";

const CHAIN_PREFIX = "l3shim-";
const PAYLOAD = `${CHAIN_PREFIX}payload`;
const UDP_PAYLOAD = `${CHAIN_PREFIX}udp-payload`;
const ICMP_ERRORS = `${CHAIN_PREFIX}icmp-errors`;
const MAPPED = `${CHAIN_PREFIX}mapped`;
const OBSERVE = `${CHAIN_PREFIX}observe`;
const REWRITE = `${CHAIN_PREFIX}rewrite`;
const DRILL = `${CHAIN_PREFIX}drill`;
const OUTPUT_ENTRY = `OUTPUT -j ${MAPPED}`;

/** Longer packets (octets) are super-packets of offload, or jumbo frames in a data centre. */
const LONGEST_PACKET = 9216;
/** Super-packets a second, and at once, that the plane is told of: those of all pairs together. */
const SUPER_PACKET_RATE = 2000;

/**
 * u32 reads 4 octets at an offset from the IPv6 header: Next Header of the packet (6), the
 * octet with the P bit in a Shim6 header right behind it (42), or behind a UDP header (50).
 */
const SHIM6_NOT_FIRST = '-m u32 ! --u32 "3&0xFF=0x8C"';
const SHIM6_PAYLOAD = '-m u32 --u32 "3&0xFF=0x8C&&39&0x80=0x80"';
const UDP_NOT_FIRST = '-m u32 ! --u32 "3&0xFF=0x11"';
const SHIM6_PAYLOAD_IN_UDP = '-m u32 --u32 "3&0xFF=0x11&&47&0x80=0x80"';
/** Next Header of the packet that an ICMPv6 error quotes (54), and its P bit (90). */
const QUOTES_PAYLOAD = '-m u32 --u32 "51&0xFF=0x8C&&87&0x80=0x80"';
const QUOTES_EXTENSION = '-m u32 --u32 "51&0xFF=0,43,60"';
const LOCAL = "-m addrtype --dst-type LOCAL";

/**
 * Chains of our own in the tables raw and mangle. Each change is one run of ip6tables-restore,
 * so that it is quick and atomic for its table.
 */
export class Ip6tablesRules implements RuleCommand {
  readonly name: string;
  readonly #run: RunCommand;
  #mappedPairs = 0;

  /** @param command "ip6tables", or one variant of it */
  constructor(command: string, run: RunCommand) {
    this.name = command;
    this.#run = run;
  }

  async installObserving(group: number, udpPort?: number): Promise<void> {
    await this.#restore(observeScript(group, udpPort));
  }

  async installRewriting(settings: RewriteSettings): Promise<void> {
    await this.#restore(rewriteScript(settings));
  }

  /** Without mapped pairs no rule stands in the way of what leaves. */
  async changeMapped(
    added: readonly AddressPair[],
    removed: readonly AddressPair[],
  ): Promise<void> {
    const before = this.#mappedPairs;
    const after = before + added.length - removed.length;
    const rule = ({ local, peer }: AddressPair): string =>
      `${MAPPED} -s ${local} -d ${peer} -g ${REWRITE}`;
    await this.#restore([
      "*mangle",
      ...removed.map((pair) => `-D ${rule(pair)}`),
      ...added.map((pair) => `-A ${rule(pair)}`),
      ...(before === 0 && after > 0 ? [`-I ${OUTPUT_ENTRY}`] : []),
      ...(before > 0 && after === 0 ? [`-D ${OUTPUT_ENTRY}`] : []),
      "COMMIT",
    ]);
    this.#mappedPairs = after;
  }

  async installDrill(settings: DrillSettings): Promise<void> {
    await this.#restore(drillScript(settings));
  }

  removeDrill(): Promise<void> {
    return this.#remove(DRILL);
  }

  remove(): Promise<void> {
    return this.#remove(CHAIN_PREFIX);
  }

  async #remove(prefix: string): Promise<void> {
    const script = removalScript(await this.#run([`${this.name}-save`], ""), prefix);
    if (script.length > 0) await this.#restore(script);
  }

  async #restore(lines: readonly string[]): Promise<void> {
    await this.#run([`${this.name}-restore`, "--noflush", "-w", "5"], `${lines.join("\n")}\n`);
  }
}

/**
 * There is no rate for each pair here that would not drop packets when its table is full: so
 * only the super-packets of all pairs together have one.
 */
function observeScript(group: number, udpPort: number | undefined): string[] {
  const log = `-j NFLOG --nflog-group ${group}`;
  const rate = `-m limit --limit ${SUPER_PACKET_RATE}/second --limit-burst ${SUPER_PACKET_RATE}`;
  const unmarked = `-m mark ! --mark ${LOCATOR_MARK}/${LOCATOR_MARK}`;
  return [
    "*mangle",
    `:${OBSERVE} - [0:0]`,
    `-A ${OBSERVE} -p 140 -j RETURN`,
    ...(udpPort === undefined ? [] : [`-A ${OBSERVE} ${shim6InUdp(udpPort)} -j RETURN`]),
    `-A ${OBSERVE} -m length --length 0:${LONGEST_PACKET} ${log}`,
    `-A ${OBSERVE} -m length --length ${LONGEST_PACKET + 1}:65535 ${rate} ${log}`,
    // Behind the rewriting, whose packets are marked and counted already.
    `-A INPUT ! -i lo ! -d ${NOT_UNICAST} ${unmarked} -j ${OBSERVE}`,
    `-A OUTPUT ! -o lo ! -d ${NOT_UNICAST} ${unmarked} -j ${OBSERVE}`,
    "COMMIT",
  ];
}

/**
 * Ordinary packets meet as few rules as can be: they are what costs. "bypass": with the daemon
 * gone nobody binds the queue, and packets pass as if not queued.
 */
function rewriteScript(settings: RewriteSettings): string[] {
  const { queue, inboundHook, withholdErrors, udpPort } = settings;
  const rewrite = `-j NFQUEUE --queue-num ${queue} --queue-bypass`;
  const atInput = inboundHook === "input";
  const payload = payloadRules(rewrite, atInput ? "INPUT" : "PREROUTING", udpPort);
  return [
    "*raw",
    ...icmpErrorChain(rewrite),
    ...(udpPort === undefined ? [] : udpErrorRules(rewrite, udpPort)),
    ...(withholdErrors ? pathErrorRules(rewrite) : []),
    `-I PREROUTING -p ipv6-icmp -j ${ICMP_ERRORS}`,
    ...(atInput ? [] : payload),
    "COMMIT",
    "*mangle",
    ...(atInput ? payload : []),
    ...rewriteChain(rewrite, udpPort),
    `:${MAPPED} - [0:0]`,
    "COMMIT",
  ];
}

/**
 * Packets with the payload extension header. Where another header comes first (-p looks behind
 * it) u32 cannot find the P bit: then the plane does, and passes control messages on.
 */
function payloadRules(rewrite: string, hook: string, udpPort: number | undefined): string[] {
  const plain = [
    `:${PAYLOAD} - [0:0]`,
    `-A ${PAYLOAD} ${SHIM6_PAYLOAD} ${LOCAL} ${rewrite}`,
    `-A ${PAYLOAD} ${SHIM6_NOT_FIRST} ${LOCAL} ${rewrite}`,
    `-I ${hook} -p 140 -j ${PAYLOAD}`,
  ];
  if (udpPort === undefined) return plain;
  return [
    ...plain,
    `:${UDP_PAYLOAD} - [0:0]`,
    `-A ${UDP_PAYLOAD} ${SHIM6_PAYLOAD_IN_UDP} ${LOCAL} ${rewrite}`,
    `-A ${UDP_PAYLOAD} ${UDP_NOT_FIRST} ${LOCAL} ${rewrite}`,
    `-I ${hook} ${shim6InUdp(udpPort)} -j ${UDP_PAYLOAD}`,
  ];
}

function shim6InUdp(port: number): string {
  return `-p udp -m udp --sport ${port} --dport ${port}`;
}

/** ICMPv6 errors about packets that left with the payload extension header. */
function icmpErrorChain(rewrite: string): string[] {
  return [
    `:${ICMP_ERRORS} - [0:0]`,
    ...ICMP_ERROR_TYPES.flatMap((type) => [
      `-A ${ICMP_ERRORS} ${icmp(type)} ${LOCAL} ${QUOTES_PAYLOAD} ${rewrite}`,
      `-A ${ICMP_ERRORS} ${icmp(type)} ${LOCAL} ${QUOTES_EXTENSION} ${rewrite}`,
    ]),
  ];
}

/** The ports of the packet that they quote are at octet 88, its P bit is in octet 98. */
function udpErrorRules(rewrite: string, port: number): string[] {
  const ports = `0x${(port * 0x1_0001).toString(16).padStart(8, "0")}`;
  const quotes = `-m u32 --u32 "51&0xFF=0x11&&88=${ports}&&95&0x80=0x80"`;
  return ICMP_ERROR_TYPES.map(
    (type) => `-A ${ICMP_ERRORS} ${icmp(type)} ${LOCAL} ${quotes} ${rewrite}`,
  );
}

/** Those of the loopback interface are the shim's own hints to TCP. */
function pathErrorRules(rewrite: string): string[] {
  const { unreachable, codes, timeExceeded } = PATH_ERRORS;
  const types = [...codes.map((code) => `${unreachable}/${code}`), `${timeExceeded}`];
  return types.map((type) => `-A ${ICMP_ERRORS} ! -i lo ${icmp(type)} ${LOCAL} ${rewrite}`);
}

/**
 * Packets of mapped pairs, but for what concerns the link or is the shim's own. What is not
 * ICMPv6 meets no rule on it.
 */
function rewriteChain(rewrite: string, udpPort: number | undefined): string[] {
  return [
    `:${REWRITE} - [0:0]`,
    `-A ${REWRITE} -p 140 -j RETURN`,
    ...(udpPort === undefined ? [] : [`-A ${REWRITE} ${shim6InUdp(udpPort)} -j RETURN`]),
    `-A ${REWRITE} ! -p ipv6-icmp ${rewrite}`,
    ...LINK_ICMP_TYPES.map((type) => `-A ${REWRITE} ${icmp(type)} -j RETURN`),
    `-A ${REWRITE} ${rewrite}`,
  ];
}

/** "bypass": without the daemon nothing gets lost any more. */
function drillScript({ queue, uplink, pairs, udpPort }: DrillSettings): string[] {
  const lose = `-j NFQUEUE --queue-num ${queue} --queue-bypass`;
  const linkIcmp = LINK_ICMP_TYPES.map((type) => `-A ${DRILL} ${icmp(type)} -j RETURN`);
  return [
    "*raw",
    `:${DRILL} - [0:0]`,
    `-A ${DRILL} -p 140 ${LOCAL} ${lose}`,
    ...(udpPort === undefined ? [] : [`-A ${DRILL} ${shim6InUdp(udpPort)} ${LOCAL} ${lose}`]),
    ...linkIcmp,
    ...pairs.map(({ local, peer }) => `-A ${DRILL} -s ${peer} -d ${local} ${lose}`),
    `-I PREROUTING -i ${uplink.interface} -j ${DRILL}`,
    "COMMIT",
    "*mangle",
    `:${DRILL} - [0:0]`,
    `-A ${DRILL} -m mark --mark ${LOCATOR_MARK}/${LOCATOR_MARK} ${lose}`,
    ...linkIcmp,
    ...pairs.map(({ local, peer }) => `-A ${DRILL} -s ${local} -d ${peer} ${lose}`),
    `-A POSTROUTING -o ${uplink.interface} -j ${DRILL}`,
    "COMMIT",
  ];
}

/** @param type a type, or type/code */
function icmp(type: number | string): string {
  return `-p ipv6-icmp -m icmp6 --icmpv6-type ${type}`;
}

/**
 * What removes chains of ours, and the rules in others' chains that lead there.
 * @param saved what ip6tables-save printed
 * @param prefix of the chains' names; all of ours unless it is given
 * @returns lines for ip6tables-restore; none when there is nothing of ours
 */
export function removalScript(saved: string, prefix = CHAIN_PREFIX): string[] {
  const chain = new RegExp(`^:(${prefix}\\S*) `);
  const entry = new RegExp(`^-A (?!${CHAIN_PREFIX}).* -j ${prefix}[a-z-]*$`);
  const script: string[] = [];
  for (const table of saved.split(/^(?=\*)/m)) {
    const lines = table.split("\n");
    const chains = lines.flatMap((line) => chain.exec(line)?.[1] ?? []);
    const entries = lines.filter((line) => entry.test(line));
    if (chains.length + entries.length === 0) continue;
    script.push(
      lines[0] ?? "",
      ...entries.map((line) => line.replace("-A", "-D")),
      ...chains.map((chain) => `-F ${chain}`),
      ...chains.map((chain) => `-X ${chain}`),
      "COMMIT",
    );
  }
  return script;
}
