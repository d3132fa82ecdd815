import { isIPv4 } from "node:net";
import { parseAddress } from "../../wire/address.ts";

/** Between word characters and colons no address begins or ends, nor in IPv4's part of one. */
const ADDRESS = /(?<![\w:])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?![\w:]|\.\d)/gi;
/** At the end of a mapped IPv6 address, too; not within a longer number of a version. */
const IPV4 = /(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?!\w|\.\d)/g;
const TAG = /(?<!\w)[0-9a-f]{12}(?!\w)/g;
const MAC = /(?<![\w:])(?:[0-9a-f]{2}:){5}[0-9a-f]{2}(?![\w:])/gi;

/** Strings of TOML, in which # begins no comment, and comments. */
const STRING_OR_COMMENT =
  /("""[\s\S]*?"""|'''[\s\S]*?'''|"(?:\\.|[^"\\\n])*"|'[^'\n]*')|[ \t]*#.*/g;

/** The lines of a TOML file keep their numbers, for messages name them. */
export function withoutComments(toml: string): string {
  return toml.replace(STRING_OR_COMMENT, (_found, string: string | undefined) => string ?? "");
}

/**
 * Takes from a report what tells who somebody is, or lets others speak in a peer's name. The same
 * address becomes the same pseudonym everywhere, and addresses of one /48 or /64 stay so.
 */
export class Redaction {
  readonly #keepsAddresses: boolean;
  readonly #sites = new Numbering();
  readonly #subnets = new Numbering();
  readonly #addresses = new Numbering();
  readonly #ipv4Addresses = new Numbering();
  readonly #tags = new Numbering();
  readonly #macs = new Numbering();

  constructor(keepsAddresses: boolean) {
    this.#keepsAddresses = keepsAddresses;
  }

  /** How many different ones have been replaced. */
  get counts(): { readonly addresses: number; readonly tags: number } {
    const addresses = this.#addresses.size + this.#ipv4Addresses.size;
    return { addresses, tags: this.#tags.size };
  }

  /** The value with every text in it redacted. */
  apply(value: unknown): unknown {
    if (typeof value === "string") return this.text(value);
    if (Array.isArray(value)) return value.map((item) => this.apply(item));
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, this.apply(item)]));
  }

  text(text: string): string {
    const untagged = text.replace(TAG, (tag) => `tag-${this.#tags.of(tag)}`);
    if (this.#keepsAddresses) return untagged;
    return untagged
      .replace(IPV4, (found) => this.#ipv4Pseudonym(found))
      .replace(MAC, (mac) => `mac-${this.#macs.of(mac.toLowerCase())}`)
      .replace(ADDRESS, (found) => this.#address(found));
  }

  /** A colon behind it may belong to the sentence. */
  #address(found: string): string {
    const whole = parseAddress(found);
    if (whole !== undefined) return this.#pseudonym(whole);
    const shorter = found.endsWith(":") ? parseAddress(found.slice(0, -1)) : undefined;
    return shorter === undefined ? found : `${this.#pseudonym(shorter)}:`;
  }

  /** The unspecified one and the loopback stay. */
  #ipv4Pseudonym(found: string): string {
    if (!isIPv4(found) || /^(0\.0\.0\.0$|127\.)/.test(found)) return found;
    return `ipv4-${this.#ipv4Addresses.of(found)}`;
  }

  /** What everybody has stays: ::, ::1 and multicast; and so does the kind of an address. */
  #pseudonym(address: string): string {
    if (/^(::1?$|ff)/.test(address)) return address;
    const groups = groupsOf(address);
    const host = this.#part(this.#addresses, address, groups.slice(4));
    if (address.startsWith("fe80:")) return `fe80::${host}`;
    const site = this.#part(this.#sites, groups.slice(0, 3).join(":"), groups.slice(0, 3));
    const prefix = groups.slice(0, 4).join(":");
    const subnet = this.#part(this.#subnets, prefix, groups.slice(3, 4));
    const start = /^f[cd]/.test(address) ? "fd00:db8" : "2001:db8";
    const text = `${start}:${site}:${subnet}::${host}`;
    return parseAddress(text) ?? text;
  }

  /** Zeros stay, for they are the end of a prefix. */
  #part(numbering: Numbering, key: string, groups: readonly string[]): string {
    if (groups.every((group) => group === "0")) return "0";
    return numbering.of(key).toString(16);
  }
}

/** All eight groups, in hexadecimal without leading zeros. */
function groupsOf(address: string): string[] {
  const [head = "", tail] = address.split("::");
  const first = head === "" ? [] : head.split(":");
  if (tail === undefined) return first;
  const last = tail === "" ? [] : tail.split(":");
  const zeros = Array<string>(8 - first.length - last.length).fill("0");
  return [...first, ...zeros, ...last];
}

/** Numbers things from 1 on, in the order in which they come. */
class Numbering {
  readonly #numbers = new Map<string, number>();

  get size(): number {
    return this.#numbers.size;
  }

  of(thing: string): number {
    const number = this.#numbers.get(thing) ?? this.#numbers.size + 1;
    this.#numbers.set(thing, number);
    return number;
  }
}
