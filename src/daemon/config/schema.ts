import * as v from "valibot";
import {
  CONTEXT_IDLE_TIMEOUT,
  FAIL_BACK,
  MAX_CONTEXTS,
  MAX_CONTEXTS_PER_PREFIX,
} from "../../core/defaults.ts";
import { SHIM6_UDP_PORT } from "../../wire/udp.ts";
import { NEW_KEY_BITS } from "../crypto/rsa-key.ts";
import { PRIORITIES } from "../host/preference.ts";
import { integer, ipv6Address, prefix64, sendTimeoutSeconds, strict } from "../validation.ts";

/**
 * What may stand in the configuration file: keys as the user writes them, ranges, defaults.
 * packaging/config.toml documents every key for the user; a test compares the two.
 */

function choice<const Options extends readonly string[]>(options: Options) {
  return v.picklist(options, `must be one of ${options.map((o) => `"${o}"`).join(", ")}`);
}

function table<const Entries extends v.ObjectEntries>(entries: Entries) {
  return strict(entries, "a table");
}

const flag = v.boolean("must be true or false");

/** IFNAMSIZ is 16 with the final zero; the kernel forbids "/" and white space. */
const interfaceName = v.pipe(
  v.string("must be the name of an interface"),
  v.regex(/^[^\s/]{1,15}$/, "must be the name of an interface, 1 to 15 characters"),
);

const absolutePath = v.pipe(
  v.string("must be a path"),
  v.regex(/^\/[^/]/, "must be a path from the root on"),
);

const LOOPBACK_PORT = 'must be a port of a loopback address, such as "[::1]:9140"';

/** Every other address would show it to the network. */
const loopbackPort = v.pipe(
  v.string(LOOPBACK_PORT),
  v.regex(/^(?:\[::1\]|127\.0\.0\.1):\d{1,5}$/, LOOPBACK_PORT),
  v.transform((text): { host: string; port: number } => {
    const [, host = "", port] = /^\[?([^\]]+)\]?:(\d+)$/.exec(text) ?? [];
    return { host, port: Number(port) };
  }),
  v.check(({ port }) => port >= 1 && port <= 65_535, LOOPBACK_PORT),
);

const uplink = table({
  interface: interfaceName,
  gateway: v.optional(ipv6Address),
  priority: v.optional(integer(0, PRIORITIES - 1)),
  backup: v.optional(flag, false),
  metered: v.optional(flag, false),
  weight: v.optional(integer(0, 255), 0),
  transient: v.optional(flag, false),
  exclude: v.optional(flag, false),
  prefix: v.optional(prefix64),
});

const failBack = v.pipe(
  table({
    automatic: v.optional(flag, true),
    hold: v.optional(integer(1, 86_400, "(seconds)"), FAIL_BACK.hold / 1000),
    "max-hold": v.optional(integer(1, 86_400, "(seconds)"), FAIL_BACK.maxHold / 1000),
  }),
  v.forward(
    v.check((table) => table["max-hold"] >= table.hold, "must not be less than hold"),
    ["max-hold"],
  ),
);

export const CONFIG_SCHEMA = table({
  security: v.optional(choice(["verified", "unverified"]), "verified"),
  dataplane: v.optional(choice(["auto", "ebpf", "nfqueue"]), "auto"),
  "send-timeout": v.optional(sendTimeoutSeconds, 15),
  detect: v.optional(choice(["adaptive", "rfc"]), "adaptive"),
  "keepalive-timeout": v.optional(sendTimeoutSeconds),
  "context-idle-timeout": v.optional(
    integer(300, 604_800, "(seconds)"),
    CONTEXT_IDLE_TIMEOUT / 1000,
  ),
  "max-contexts": v.optional(integer(1, 1_000_000), MAX_CONTEXTS),
  "max-contexts-per-prefix": v.optional(integer(1, 1_000_000), MAX_CONTEXTS_PER_PREFIX),
  "icmp-errors": v.optional(choice(["unsolved", "all"]), "unsolved"),
  trigger: v.optional(
    table({
      packets: v.optional(integer(1, 1_000_000), 50),
      age: v.optional(integer(1, 86_400, "(seconds)")),
    }),
    {},
  ),
  "fail-back": v.optional(failBack, {}),
  encapsulation: v.optional(
    table({
      enabled: v.optional(flag, false),
      port: v.optional(integer(1024, 65_535), SHIM6_UDP_PORT),
    }),
    {},
  ),
  ebpf: v.optional(table({ "pin-directory": v.optional(absolutePath, "/run/l3shim/bpf") }), {}),
  nfqueue: v.optional(
    table({
      "inbound-hook": v.optional(choice(["prerouting", "input"]), "prerouting"),
      backend: v.optional(choice(["auto", "nft", "ip6tables"]), "auto"),
      queue: v.optional(integer(0, 65_000), 14_000),
    }),
    {},
  ),
  locators: v.optional(table({ temporary: v.optional(flag, false) }), {}),
  control: v.optional(table({ readers: v.optional(choice(["group", "everyone"]), "group") }), {}),
  http: v.optional(
    table({ listen: v.optional(loopbackPort), commands: v.optional(flag, false) }),
    {},
  ),
  identity: v.optional(
    table({
      addresses: v.optional(flag, true),
      sec: v.optional(v.picklist([0, 1, 2], "must be 0, 1 or 2"), 1),
      "key-bits": v.optional(integer(1024, 4096, "(bits)"), NEW_KEY_BITS),
      prefixes: v.optional(
        v.pipe(
          v.array(prefix64, "must be a list of 64-bit prefixes"),
          v.maxLength(8, "must be a list of 8 prefixes at most"),
        ),
        [],
      ),
    }),
    {},
  ),
  uplink: v.optional(v.array(uplink, "must be written as [[uplink]]"), []),
  hooks: v.optional(table({ directory: v.optional(absolutePath, "/etc/l3shim/hooks.d") }), {}),
  record: v.optional(
    table({
      file: v.optional(absolutePath),
      "max-size": v.optional(integer(1, 1_048_576, "(MiB)"), 256),
    }),
    {},
  ),
  log: v.optional(
    table({
      level: v.optional(choice(["error", "warn", "info", "debug", "trace"]), "info"),
    }),
    {},
  ),
});

export type ConfigFile = v.InferOutput<typeof CONFIG_SCHEMA>;
