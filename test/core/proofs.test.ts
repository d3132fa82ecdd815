import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import type { EndpointConfig, LocalLocator } from "../../src/core/config.ts";
import { minutes, seconds } from "../../src/core/time.ts";
import { encodeParameters } from "../../src/identity/parameters.ts";
import { encodeControl } from "../../src/wire/control.ts";
import type { ControlMessage, Option, OptionName } from "../../src/wire/message.ts";
import { CRYPTO, keyFromPem, newKey, type TestKey } from "../identity/support/crypto.ts";
import { cgaLocator, hbaLocators } from "./support/identities.ts";
import { address, type Host, type Packet, World } from "./support/world.ts";

const PREFIXES_OF_A = ["2001:db8:a1::/64", "2001:db8:a2::/64"];
const PREFIXES_OF_B = ["2001:db8:b1::/64", "2001:db8:b2::/64"];
const HBA = 1;
const CGA = 2;

/** For tests only; making one of 4096 bits takes seconds. */
const LARGE_KEY = new URL("../vectors/rsa-4096.pem", import.meta.url);

let key: TestKey;

beforeAll(() => {
  key = newKey(1024);
});

/** What the hosts' cryptography was asked for. */
interface Work {
  verifications: number;
  signatures: number;
}

interface Lab {
  readonly world: World;
  readonly a: Host;
  readonly b: Host;
  readonly work: Work;
}

function counting(locators: readonly LocalLocator[], work: Work): LocalLocator[] {
  return locators.map((locator) => {
    const { prover } = locator;
    if (prover?.sign === undefined) return locator;
    const { sign } = prover;
    return {
      ...locator,
      prover: {
        ...prover,
        sign: (message) => {
          work.signatures += 1;
          return sign(message);
        },
      },
    };
  });
}

function verifiedHosts(
  ofA: readonly LocalLocator[],
  ofB: readonly LocalLocator[] = hbaLocators(2, PREFIXES_OF_B),
  options: Partial<EndpointConfig> = {},
): Lab {
  const world = new World();
  const work = { verifications: 0, signatures: 0 };
  const identity = {
    ...CRYPTO,
    verifyRsaSha1: (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) => {
      work.verifications += 1;
      return CRYPTO.verifyRsaSha1(publicKey, message, signature);
    },
  };
  const config = { security: "verified" as const, identity, ...options };
  const a = world.host(61, counting(ofA, work), config);
  const b = world.host(62, counting(ofB, work), config);
  return { world, a, b, work };
}

function establish({ world, a, b }: Lab): void {
  const [ulidOfA] = a.locators;
  const [ulidOfB] = b.locators;
  if (ulidOfA === undefined || ulidOfB === undefined) throw new Error("no ULID");
  expect(a.open(ulidOfA.address, ulidOfB.address)).toBe(true);
  world.run(seconds(1));
}

function peerLocators(host: Host): unknown[] {
  return (host.endpoint.contexts()[0]?.peerLocators ?? []).map((locator) => [
    locator.address,
    locator.method,
  ]);
}

function sentMessage<Type extends ControlMessage["type"]>(
  world: World,
  type: Type,
  by?: Host,
): Extract<ControlMessage, { type: Type }> {
  const found = world.sent.find(
    ({ source, control }) => control?.message.type === type && (by?.owns(source) ?? true),
  );
  if (found?.control === undefined) throw new Error(`no ${type} was sent`);
  return found.control.message as Extract<ControlMessage, { type: Type }>;
}

function names(options: readonly Option[]): OptionName[] {
  return options.map(({ name }) => name);
}

/** The messages that tell a peer of locators. */
const CARRIERS = ["I2", "R2", "I2bis", "UpdateRequest"] as const;
type Carrier = (typeof CARRIERS)[number];

/** Makes an ESTABLISHED A send the message: B has lost the context, or A has a new preference. */
function provoke({ world, a, b }: Lab, type: Carrier): void {
  const [context] = a.endpoint.contexts();
  if (type === "I2bis" && context?.peerTag !== undefined) {
    const { peerTag } = context;
    b.command((endpoint, now) => endpoint.close(now, peerTag));
    a.command((endpoint, now) => endpoint.explore(now, context.tag));
  }
  if (type === "UpdateRequest") a.setLocators(a.locators.slice(0, -1));
  world.run(seconds(2));
}

/** Lets every packet through but changes those of one type, as a forger on the path would. */
function forge(
  world: World,
  type: Carrier,
  change: (options: readonly Option[]) => Option[],
): void {
  world.loses = (packet: Packet) => {
    const message = packet.control?.message;
    if (message?.type !== type) return false;
    const forged = { ...message, options: change(message.options) };
    const receiver = world.hosts.find((host) => host.owns(packet.destination));
    receiver?.receive({ ...packet, control: { bytes: encodeControl(forged), message: forged } });
    return true;
  };
}

describe("locators proven by HBA (RFC 5533 section 7.2, RFC 5535)", () => {
  test("a set is told with its parameters, believed without any signature, and serves", () => {
    const lab = verifiedHosts(hbaLocators(1, PREFIXES_OF_A));
    const { world, a, b, work } = lab;
    establish(lab);
    for (const type of ["I2", "R2"] as const) {
      expect(names(sentMessage(world, type).options)).toEqual(
        expect.arrayContaining(["LocatorList", "CgaParameterDataStructure"]),
      );
    }
    expect(peerLocators(b)).toEqual(a.locators.map((locator) => [locator.address, HBA]));
    expect(peerLocators(a)).toEqual(b.locators.map((locator) => [locator.address, HBA]));
    expect(work).toEqual({ verifications: 0, signatures: 0 });

    const [first] = a.locators;
    world.loses = ({ source, destination }) =>
      source === first?.address || destination === first?.address;
    const ulids = a.endpoint.contexts()[0]?.ulids;
    if (ulids === undefined) throw new Error("no context");
    a.send(ulids);
    world.run(minutes(1));
    expect(a.endpoint.contexts()[0]?.locators.local).toBe(a.locators[1]?.address);
  });

  test("a locator that is not in the set is not offered", () => {
    const stranger = { address: address("2001:db8:a3::1"), preference: 0, operational: true };
    const lab = verifiedHosts([...hbaLocators(1, PREFIXES_OF_A), stranger]);
    establish(lab);
    expect(peerLocators(lab.b)).toHaveLength(2);
  });

  test("without parameters of its own a ULID stands alone", () => {
    const plain = PREFIXES_OF_A.map((text) => ({
      address: address(text.replace("/64", "1")),
      preference: 0,
      operational: true,
    }));
    const lab = verifiedHosts(plain);
    establish(lab);
    expect(names(sentMessage(lab.world, "I2").options)).toEqual(["ResponderValidator"]);
    expect(peerLocators(lab.b)).toHaveLength(1);
  });
});

describe("locators proven by CGA", () => {
  function withForeign(seed = 3): LocalLocator[] {
    const own = cgaLocator(seed, "2001:db8:a1::/64", key);
    const foreign = { address: address("2001:db8:a2::77"), preference: 0, operational: true };
    return [own, foreign];
  }

  test("are signed in the order of the list, and believed for the signature", () => {
    const lab = verifiedHosts(withForeign());
    establish(lab);
    expect(names(sentMessage(lab.world, "I2").options)).toEqual(
      expect.arrayContaining(["LocatorList", "CgaParameterDataStructure", "CgaSignature"]),
    );
    expect(peerLocators(lab.b)).toEqual(lab.a.locators.map((locator) => [locator.address, CGA]));
    expect(lab.work).toEqual({ verifications: 1, signatures: 1 });
  });

  test.each(CARRIERS)("%s has the parameters with the list, and the signature", (type) => {
    const foreign = { address: address("2001:db8:b2::77"), preference: 0, operational: true };
    const third = { ...foreign, address: address("2001:db8:a3::77") };
    const ofB = [cgaLocator(5, "2001:db8:b1::/64", key), foreign];
    const lab = verifiedHosts([...withForeign(), third], ofB);
    establish(lab);
    provoke(lab, type);
    expect(names(sentMessage(lab.world, type).options)).toEqual(
      expect.arrayContaining(["LocatorList", "CgaParameterDataStructure", "CgaSignature"]),
    );
    const known = type === "UpdateRequest" ? 2 : 3;
    expect(peerLocators(lab.b)).toHaveLength(known);
    expect(peerLocators(lab.a)).toHaveLength(2);
    for (const { endpoint } of [lab.a, lab.b]) expect(endpoint.counters["error-sent"]).toBe(0);
  });

  test("a locator added in mid-session is told in a signed Update Request", () => {
    const lab = verifiedHosts(withForeign());
    establish(lab);
    const added = { address: address("2001:db8:a9::9"), preference: 0, operational: true };
    lab.a.setLocators([...lab.a.locators, added]);
    lab.world.run(seconds(1));
    expect(names(sentMessage(lab.world, "UpdateRequest").options)).toEqual(
      expect.arrayContaining(["LocatorList", "CgaParameterDataStructure", "CgaSignature"]),
    );
    expect(peerLocators(lab.b)).toHaveLength(3);
  });

  test("of an HBA set with a key those in the set need no signature", () => {
    const set = hbaLocators(4, PREFIXES_OF_A, key);
    const foreign = { address: address("2001:db8:a7::7"), preference: 0, operational: true };
    const lab = verifiedHosts([...set, foreign]);
    establish(lab);
    const methods = peerLocators(lab.b).map((row) => (row as unknown[])[1]);
    expect(methods).toEqual([HBA, HBA, CGA]);
  });

  test("an address in the network of a set's address is not told, until that one fails", () => {
    const set = hbaLocators(4, PREFIXES_OF_A, key);
    const [first, second] = set;
    if (first === undefined || second === undefined) throw new Error("two prefixes");
    const neighbor = { address: address("2001:db8:a2::7"), preference: 0, operational: true };
    const lab = verifiedHosts([...set, neighbor]);
    establish(lab);
    expect(peerLocators(lab.b)).toEqual([
      [first.address, HBA],
      [second.address, HBA],
    ]);
    expect(lab.work.signatures).toBe(0);
    lab.a.setLocators([first, { ...second, operational: false }, neighbor]);
    lab.world.run(seconds(1));
    expect(peerLocators(lab.b)).toContainEqual([neighbor.address, CGA]);
  });

  test("one signature serves all contexts that begin with the list, and is checked once", () => {
    const lab = verifiedHosts(withForeign());
    establish(lab);
    const [own] = lab.a.locators;
    const [, second] = lab.b.locators;
    if (own === undefined || second === undefined) throw new Error("no locators");
    lab.a.open(own.address, second.address);
    lab.world.run(seconds(1));
    expect(lab.b.endpoint.contexts()).toHaveLength(2);
    expect(lab.work).toEqual({ verifications: 1, signatures: 1 });
  });

  test("what doesn't fit into 1280 octets is left out, and the list still verifies", () => {
    const large = keyFromPem(readFileSync(LARGE_KEY, "utf8"));
    const own = cgaLocator(3, "2001:db8:a1::/64", large);
    const others = Array.from({ length: 15 }, (_, i) => ({
      address: address(`2001:db8:a2::${i + 1}`),
      preference: i,
      operational: true,
    }));
    const lab = verifiedHosts([own, ...others]);
    establish(lab);
    for (const { control } of lab.world.sent) {
      expect(40 + (control?.bytes.length ?? 0)).toBeLessThanOrEqual(1280);
    }
    const taken = peerLocators(lab.b);
    expect(taken.length).toBeGreaterThan(1);
    expect(taken.length).toBeLessThan(16);
    expect(taken).toEqual(
      lab.a.endpoint.contexts()[0]?.localLocators.map((locator) => [locator.address, CGA]),
    );
  });
});

describe("what an attacker tells", () => {
  const victim = () => hbaLocators(1, PREFIXES_OF_A);

  function drops({ b }: Lab): Record<string, number> {
    const { counters } = b.endpoint;
    return Object.fromEntries(
      Object.entries(counters).filter(([name, count]) => name.startsWith("drop-") && count > 0),
    );
  }

  test.each(CARRIERS)("parameters of another set in %s: silence, and nothing is taken", (type) => {
    const lab = verifiedHosts(victim());
    const other = hbaLocators(9, PREFIXES_OF_A)[0]?.prover;
    if (other === undefined) throw new Error("no prover");
    const parameters = encodeParameters(other.parameters);
    forge(lab.world, type, (options) => [
      ...options.filter(({ name }) => name !== "CgaParameterDataStructure"),
      { name: "CgaParameterDataStructure", critical: false, parameters },
    ]);
    establish(lab);
    const taken = peerLocators(lab.b);
    provoke(lab, type);
    const receiver = type === "R2" ? lab.a : lab.b;
    expect(receiver.endpoint.counters["drop-cga-parameters"]).toBeGreaterThan(0);
    expect(lab.world.messages).not.toContain("Error");
    const expected = { I2: [], R2: taken, I2bis: [], UpdateRequest: taken };
    expect(peerLocators(lab.b)).toEqual(expected[type]);
    const waiting = {
      I2: "I2-SENT",
      R2: "I2-SENT",
      I2bis: "I2BIS-SENT",
      UpdateRequest: "ESTABLISHED",
    };
    expect(lab.a.endpoint.contexts()[0]?.state).toBe(waiting[type]);
  });

  test("a locator outside the set: Error 2 that points at its method", () => {
    const lab = verifiedHosts(victim());
    forge(lab.world, "I2", (options) =>
      options.map((option) =>
        option.name === "LocatorList"
          ? {
              ...option,
              locators: [...option.locators, { address: address("2001:db8:bad::1"), method: HBA }],
            }
          : option,
      ),
    );
    establish(lab);
    expect(drops(lab)).toMatchObject({ "drop-locator-list": 1 });
    expect(lab.b.endpoint.contexts()).toEqual([]);
    const error = sentMessage(lab.world, "Error");
    expect(error).toMatchObject({ errorCode: 2 });
    expect(error.packetInError[error.pointer]).toBe(HBA);
    expect(error.packetInError[error.pointer + 1]).toBeDefined();
  });

  test("a list without parameters: Error 2", () => {
    const lab = verifiedHosts(victim());
    forge(lab.world, "I2", (options) =>
      options.filter(({ name }) => name !== "CgaParameterDataStructure"),
    );
    establish(lab);
    expect(sentMessage(lab.world, "Error")).toMatchObject({ errorCode: 2 });
    expect(lab.b.endpoint.contexts()).toEqual([]);
  });

  test("CGA locators with no signature, or another's: Error 2", () => {
    const own = cgaLocator(3, "2001:db8:a1::/64", key);
    const foreign = { address: address("2001:db8:a2::77"), preference: 0, operational: true };
    const changes: ((options: readonly Option[]) => Option[])[] = [
      (options) => options.filter(({ name }) => name !== "CgaSignature"),
      (options) =>
        options.map((option) => {
          if (option.name !== "CgaSignature") return option;
          const signature = new Uint8Array(option.signature);
          signature[5] = (signature[5] ?? 0) ^ 1;
          return { ...option, signature };
        }),
      (options) =>
        options.map((option) =>
          option.name === "LocatorList"
            ? { ...option, locators: [...option.locators].reverse() }
            : option,
        ),
    ];
    for (const change of changes) {
      const lab = verifiedHosts([own, foreign]);
      forge(lab.world, "I2", change);
      establish(lab);
      expect(sentMessage(lab.world, "Error")).toMatchObject({ errorCode: 2 });
      expect(lab.b.endpoint.contexts()).toEqual([]);
    }
  });

  test("method 201 is believed by nobody who asks for proof", () => {
    const lab = verifiedHosts(victim());
    forge(lab.world, "I2", (options) =>
      options.map((option) =>
        option.name === "LocatorList"
          ? { ...option, locators: option.locators.map((known) => ({ ...known, method: 201 })) }
          : option,
      ),
    );
    establish(lab);
    expect(sentMessage(lab.world, "Error")).toMatchObject({ errorCode: 2 });
  });

  test("an Update Request with a foreign locator: Error 2, and the set stays", () => {
    const lab = verifiedHosts(victim());
    establish(lab);
    const before = peerLocators(lab.b);
    forge(lab.world, "UpdateRequest", (options) => [
      ...options.filter(({ name }) => name !== "LocatorPreferences"),
      {
        name: "LocatorList",
        critical: false,
        generation: 7,
        locators: [{ address: address("2001:db8:bad::1"), method: HBA }],
      },
    ]);
    const [first, ...rest] = lab.a.locators;
    if (first === undefined) throw new Error("no locator");
    lab.a.setLocators([{ ...first, preference: 3 }, ...rest]);
    lab.world.run(seconds(1));
    expect(sentMessage(lab.world, "Error")).toMatchObject({ errorCode: 2 });
    expect(peerLocators(lab.b)).toEqual(before);
  });

  test("signatures are checked within a budget, whatever comes", () => {
    const lab = verifiedHosts(victim());
    establish(lab);
    const own = cgaLocator(3, "2001:db8:c1::/64", key);
    const { prover } = own;
    if (prover === undefined) throw new Error("no prover");
    const attacker = lab.world.host(63, [own, { ...own, address: address("2001:db8:c2::1") }], {
      security: "verified",
      identity: CRYPTO,
    });
    const [ulidOfB] = lab.b.locators;
    if (ulidOfB === undefined) throw new Error("no ULID");
    attacker.open(own.address, ulidOfB.address);
    lab.world.run(seconds(1));
    const i2 = sentMessage(lab.world, "I2", attacker);
    lab.work.verifications = 0;
    for (let generation = 0; generation < 700; generation++) {
      const forged = {
        ...i2,
        options: i2.options.map((option) =>
          option.name === "LocatorList" ? { ...option, generation } : option,
        ),
      };
      lab.b.receive({
        source: own.address,
        destination: ulidOfB.address,
        control: { bytes: encodeControl(forged), message: forged },
      });
    }
    expect(lab.work.verifications).toBeGreaterThan(100);
    expect(lab.work.verifications).toBeLessThanOrEqual(400);
    expect(lab.b.endpoint.counters["drop-signature-budget"]).toBe(700 - lab.work.verifications);
  });
});
