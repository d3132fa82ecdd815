import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import {
  ConfigError,
  configWarnings,
  loadConfig,
  parseConfig,
} from "../../src/daemon/config/config.ts";
import { CONFIG_SCHEMA } from "../../src/daemon/config/schema.ts";

const FILE = "/etc/l3shim/config.toml";

function problem(source: string): string {
  try {
    parseConfig(source, FILE);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  throw new Error("the configuration was accepted");
}

test("an empty file gives safe defaults", () => {
  expect(parseConfig("", FILE)).toEqual({
    security: "verified",
    dataplane: "auto",
    ebpf: { pinDirectory: "/run/l3shim/bpf" },
    sendTimeout: 15_000,
    detect: "adaptive",
    keepaliveTimeout: 3_000,
    contextIdleTimeout: 600_000,
    maxContexts: 65_536,
    maxContextsPerPrefix: 4096,
    trigger: { packets: 50, age: undefined },
    failBack: { hold: 30_000, maxHold: 600_000 },
    nfqueue: { inboundHook: "prerouting", backend: "auto", queue: 14_000 },
    temporaryLocators: false,
    uplinks: [],
    hostIdentity: { addresses: true, sec: 1, keyBits: 2048, prefixes: [] },
    deliverAllIcmp: false,
    controlReaders: "group",
    http: undefined,
    hookDirectory: "/etc/l3shim/hooks.d",
    record: { file: undefined, maxSize: 268_435_456 },
    logLevel: "info",
  });
});

test("every key reaches the configuration", () => {
  const config = parseConfig(
    `security = "unverified"
     dataplane = "nfqueue"
     send-timeout = 10
     detect = "rfc"
     keepalive-timeout = 5
     context-idle-timeout = 300
     max-contexts = 9
     max-contexts-per-prefix = 8
     icmp-errors = "all"
     trigger = { packets = 1, age = 2 }
     fail-back = { automatic = true, hold = 5, max-hold = 60 }
     encapsulation = { enabled = true, port = 5000 }
     ebpf.pin-directory = "/run/bpf/here"
     nfqueue.inbound-hook = "input"
     nfqueue.backend = "nft"
     nfqueue.queue = 7
     locators.temporary = true
     control.readers = "everyone"
     hooks.directory = "/srv/hooks"
     http = { listen = "[::1]:9140", commands = true }
     record.file = "/srv/trace"
     record.max-size = 1
     log.level = "debug"
     identity = { addresses = false, sec = 2, key-bits = 3072, prefixes = ["2001:DB8:3:0::/64"] }
     [[uplink]]
     interface = "eth0"
     gateway = "FE80:0::1"
     priority = 3
     backup = true
     weight = 60
     transient = true
     prefix = "2001:db8:1:2::/64"
     [[uplink]]
     interface = "wlan0"
     metered = true
     exclude = true`,
    FILE,
  );
  expect(config).toEqual({
    security: "unverified",
    dataplane: "nfqueue",
    ebpf: { pinDirectory: "/run/bpf/here" },
    sendTimeout: 10_000,
    detect: "rfc",
    keepaliveTimeout: 5_000,
    contextIdleTimeout: 300_000,
    maxContexts: 9,
    maxContextsPerPrefix: 8,
    trigger: { packets: 1, age: 2_000 },
    failBack: { hold: 5_000, maxHold: 60_000 },
    encapsulation: { port: 5000 },
    nfqueue: { inboundHook: "input", backend: "nft", queue: 7 },
    temporaryLocators: true,
    uplinks: [
      {
        interface: "eth0",
        gateway: "fe80::1",
        priority: 3,
        backup: true,
        metered: false,
        weight: 60,
        transient: true,
        exclude: false,
        prefix: "2001:db8:1:2::",
      },
      {
        interface: "wlan0",
        gateway: undefined,
        priority: undefined,
        backup: false,
        metered: true,
        weight: 0,
        transient: false,
        exclude: true,
        prefix: undefined,
      },
    ],
    hostIdentity: { addresses: false, sec: 2, keyBits: 3072, prefixes: ["2001:db8:3::"] },
    deliverAllIcmp: true,
    controlReaders: "everyone",
    http: { host: "::1", port: 9140, commands: true },
    hookDirectory: "/srv/hooks",
    record: { file: "/srv/trace", maxSize: 1_048_576 },
    logLevel: "debug",
  });
});

test.each([
  ["send-timeout = 0", 1, "send-timeout: must be a whole number from 1 to 100 (seconds), but is 0"],
  ["\nsend-timeout = 2.5", 2, "send-timeout: must be a whole number from 1 to 100 (seconds)"],
  ['\n\nsend-timeout = "x"', 3, "send-timeout: must be a whole number"],
  ["context-idle-timeout = 299", 1, "context-idle-timeout: must be a whole number from 300"],
  ['security = "none"', 1, 'security: must be one of "verified", "unverified", but is "none"'],
  ["[fail-back]\nhold = 0", 2, "fail-back.hold: must be a whole number from 1 to 86400 (seconds)"],
  ["[fail-back]\nautomatic = 1", 2, "fail-back.automatic: must be true or false, but is 1"],
  ["[fail-back]\nhold = 60\nmax-hold = 30", 3, "fail-back.max-hold: must not be less than hold"],
  ["[fail-back]\nhold = 700", 1, "fail-back.max-hold: must not be less than hold"],
  ["[fail-back]\nwait = 7", 2, "fail-back.wait"],
  ["[encapsulation]\nenabled = 1", 2, "encapsulation.enabled: must be true or false, but is 1"],
  ["[encapsulation]\nport = 0", 2, "encapsulation.port: must be a whole number from 1024 to 65535"],
  ['ebpf.pin-directory = "here"', 1, "ebpf.pin-directory: must be a path from the root on"],
  ["sendtimeout = 10", 1, "sendtimeout: unknown key; known here: security, dataplane"],
  ["[trigger]\n\npacket = 5", 3, "trigger.packet: unknown key; known here: packets, age"],
  ["a = 1\ntrigger = { packets = 0 }", 2, "trigger.packets: must be a whole number from 1"],
  ["# x\ntrigger.packets = 0", 2, "trigger.packets: must be a whole number from 1"],
  ["'trigger' . \"packets\" = 0", 1, "trigger.packets: must be a whole number from 1"],
  ["trigger = 5", 1, "trigger: must be a table, but is 5"],
  ["[uplink]\ninterface = 'a'", 1, "uplink: must be written as [[uplink]]"],
  [
    '[[uplink]]\ninterface="a"\n\n[[uplink]]\npriority=1',
    4,
    "uplink.interface: this key is required",
  ],
  [
    '[[uplink]]\ninterface="a"\n[[uplink]]\ninterface="b"\npriority=80',
    5,
    "uplink.priority: must be a whole number from 0 to 79",
  ],
  [
    '[[uplink]]\ninterface="a"\nweight=-1',
    3,
    "uplink.weight: must be a whole number from 0 to 255",
  ],
  [
    '[[uplink]]\ninterface="a"\ntransient=1',
    3,
    "uplink.transient: must be true or false, but is 1",
  ],
  ['icmp-errors = "none"', 1, 'icmp-errors: must be one of "unsolved", "all", but is "none"'],
  ['[[uplink]]\ninterface="a"\ngateway="10.0.0.1"', 3, "uplink.gateway: must be an IPv6 address"],
  ['[[uplink]]\ninterface="a/b"', 2, "uplink.interface: must be the name of an interface"],
  ['[[uplink]]\ninterface="a"\n[[uplink]]\ninterface="a"', 4, "has an [[uplink]] already"],
  ["[identity]\nsec = 3", 2, "identity.sec: must be 0, 1 or 2, but is 3"],
  ["identity.key-bits = 512", 1, "identity.key-bits: must be a whole number from 1024 to 4096"],
  [
    "[[uplink]]\ninterface='a'\nprefix='2001:db8::1/64'",
    3,
    'uplink.prefix: must be a 64-bit prefix, such as "2001:db8:1:2::/64"',
  ],
  ["[[uplink]]\ninterface='a'\nmetric = 1", 3, "uplink.metric: unknown key; known here: interface"],
])("%j is refused with file, line %i and key", (source, line, text) => {
  const lines = problem(source).split("\n");
  expect(lines.some((l) => l.startsWith(`${FILE}:${line}: `) && l.includes(text))).toBe(true);
});

test("a syntax error is refused with its line and column", () => {
  expect(problem("log.level = 'info'\nsend-timeout = = 1")).toMatch(
    /^\/etc\/l3shim\/config\.toml:2: column \d+: /,
  );
});

test("all problems of a file are told at once, in the order of lines", () => {
  const lines = problem("max-contexts = 0\nsend-timeout = 0\nfoo = 1").split("\n");
  expect(lines.map((line) => line.split(": ")[1])).toEqual(["max-contexts", "send-timeout", "foo"]);
});

test("only the default file may be missing", () => {
  expect(() => loadConfig("/nonexistent/config.toml")).toThrow(
    "cannot read the configuration file /nonexistent/config.toml: ENOENT",
  );
});

test("a send timeout under 10 s draws a warning, 10 s does not", () => {
  const warnings = (source: string) => configWarnings(parseConfig(source, FILE)).map((w) => w.code);
  expect(warnings("send-timeout = 9")).toContain("short-send-timeout");
  expect(warnings("send-timeout = 10")).not.toContain("short-send-timeout");
});

const SHIPPED = new URL("../../packaging/config.toml", import.meta.url);

test("the shipped file as it stands changes nothing", () => {
  expect(parseConfig(readFileSync(SHIPPED, "utf8"), FILE)).toEqual(parseConfig("", FILE));
});

test("the shipped file lists every key with its default", () => {
  const shipped = readFileSync(SHIPPED, "utf8");
  const uncommented = shipped.replace(/^#(?=[[a-z-])/gm, "");
  const listed = parseConfig(uncommented, FILE);
  const defaults = parseConfig("", FILE);
  // These have no default: the file shows examples.
  const { trigger, record } = listed;
  const examples = {
    trigger: { ...trigger, age: undefined },
    record: { ...record, file: undefined },
    http: undefined,
    uplinks: [],
  };
  expect({ ...listed, ...examples }).toEqual(defaults);
  for (const key of keysOf(CONFIG_SCHEMA)) {
    expect(uncommented).toMatch(new RegExp(`^(${key} =|\\[+${key}\\])`, "m"));
  }
  expect(listed.trigger.age).toBeDefined();
  expect(listed.uplinks).toHaveLength(1);
});

/** Every key that the schema knows, of nested tables too. */
function keysOf(schema: object): string[] {
  const { wrapped, item, entries } = schema as {
    wrapped?: object;
    item?: object;
    entries?: Record<string, object>;
  };
  const inner = wrapped ?? item;
  if (inner !== undefined) return keysOf(inner);
  return Object.entries(entries ?? {}).flatMap(([key, value]) => [key, ...keysOf(value)]);
}
