import { userInfo } from "node:os";
import { describe, expect, test } from "vitest";
import {
  chooseAccount,
  DAEMON_CAPABILITIES,
  isConfined,
  keptCapabilities,
  PrivilegeError,
} from "../../src/daemon/privileges.ts";
import type { CapabilityName, Privileges } from "../../src/linux/capabilities.ts";

const OURS = DAEMON_CAPABILITIES;
const NONE: ReadonlySet<CapabilityName> = new Set();
const CONFINED: Privileges = {
  inheritable: OURS,
  permitted: OURS,
  effective: OURS,
  bounding: OURS,
  ambient: OURS,
  noNewPrivileges: true,
};

describe("a process is confined", () => {
  test("when every set is CAP_NET_ADMIN and CAP_NET_RAW, for good", () => {
    expect([...OURS]).toEqual(["CAP_NET_ADMIN", "CAP_NET_RAW"]);
    expect(isConfined(OURS, CONFINED)).toBe(true);
  });

  test.each(["inheritable", "permitted", "effective", "ambient"] as const)(
    "not with one more or one less that is %s",
    (set) => {
      const more = new Set<CapabilityName>([...OURS, "CAP_CHOWN"]);
      expect(isConfined(OURS, { ...CONFINED, [set]: more })).toBe(false);
      expect(isConfined(OURS, { ...CONFINED, [set]: new Set(["CAP_NET_RAW"]) })).toBe(false);
      expect(isConfined(OURS, { ...CONFINED, [set]: NONE })).toBe(false);
    },
  );

  test("not where programs that it executes could get more", () => {
    expect(isConfined(OURS, { ...CONFINED, noNewPrivileges: false })).toBe(false);
  });

  test("with CAP_DAC_READ_SEARCH where that is wanted, and then not without", () => {
    const kept = keptCapabilities({ readAnyFile: true, bpf: false }, OURS);
    expect([...kept]).toEqual([...OURS, "CAP_DAC_READ_SEARCH"]);
    expect(isConfined(kept, CONFINED)).toBe(false);
    expect(keptCapabilities({ readAnyFile: false, bpf: false }, OURS)).toEqual(OURS);
  });

  test("with CAP_BPF where the data plane wants it and there is one", () => {
    const permitted = new Set<CapabilityName>([...OURS, "CAP_BPF", "CAP_SYS_ADMIN"]);
    const wish = { readAnyFile: false, bpf: true };
    expect([...keptCapabilities(wish, permitted)]).toEqual([...OURS, "CAP_BPF"]);
    expect(keptCapabilities(wish, OURS)).toEqual(OURS);
    expect(keptCapabilities({ ...wish, bpf: false }, permitted)).toEqual(OURS);
  });

  test("with a larger bounding set that it cannot reduce", () => {
    const bounding = new Set<CapabilityName>([...OURS, "CAP_SYS_ADMIN"]);
    expect(isConfined(OURS, { ...CONFINED, bounding })).toBe(true);
  });
});

describe("the user to run as", () => {
  test("is whoever it is already, without any privilege", () => {
    const { username, uid } = userInfo();
    expect(chooseAccount(username, { effective: NONE })).toMatchObject({ name: username, uid });
  });

  test.each([
    ["no-such-user", "there is no such user"],
    ["daemon", "this process lacks CAP_SETUID and CAP_SETGID"],
  ])("%s cannot be had: %s", (name, reason) => {
    const choose = () => chooseAccount(name, { effective: NONE });
    expect(choose).toThrow(PrivilegeError);
    expect(choose).toThrow(`cannot run as the user ${name}: ${reason}; start the daemon as root`);
  });

  test("is the one that started it where none is named and another is out of reach", () => {
    expect(chooseAccount(undefined, { effective: NONE })).toBeUndefined();
  });
});
