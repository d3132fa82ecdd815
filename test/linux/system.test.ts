import { describe, expect, test } from "vitest";
import { parsePrivileges } from "../../src/linux/capabilities.ts";
import { monotonicNow } from "../../src/linux/clock.ts";
import { readSysctl, SysctlError, writeSysctl } from "../../src/linux/sysctl.ts";
import { SystemError } from "../../src/linux/system-error.ts";

describe("the monotonic clock", () => {
  test("it is CLOCK_MONOTONIC in milliseconds and never steps back", () => {
    const readings = Array.from({ length: 1000 }, monotonicNow);
    expect(readings).toEqual(readings.toSorted((a, b) => a - b));
    const difference = Number(process.hrtime.bigint() / 1_000_000n) - (readings.at(-1) ?? 0);
    expect(Math.abs(difference)).toBeLessThan(5000);
  });
});

describe("capabilities", () => {
  const status = (masks: Partial<Record<"Inh" | "Prm" | "Eff" | "Bnd" | "Amb", string>>) => {
    const lines = (["Inh", "Prm", "Eff", "Bnd", "Amb"] as const).map(
      (set) => `Cap${set}:\t${masks[set] ?? "0000000000000000"}\n`,
    );
    return `Name:\tnode\n${lines.join("")}NoNewPrivs:\t1\n`;
  };
  const effective = (mask: string) => [...parsePrivileges(status({ Eff: mask })).effective];

  test("each bit has its name", () => {
    expect(effective("0000000000003000")).toEqual(["CAP_NET_ADMIN", "CAP_NET_RAW"]);
    expect(effective("0000018000000001")).toEqual([
      "CAP_CHOWN",
      "CAP_BPF",
      "CAP_CHECKPOINT_RESTORE",
    ]);
    expect(effective("0000000000000000")).toEqual([]);
  });

  test("each set has its line", () => {
    const masks = { Inh: "1", Prm: "2", Eff: "4", Bnd: "8", Amb: "10" };
    expect(parsePrivileges(status(masks))).toEqual({
      inheritable: new Set(["CAP_CHOWN"]),
      permitted: new Set(["CAP_DAC_OVERRIDE"]),
      effective: new Set(["CAP_DAC_READ_SEARCH"]),
      bounding: new Set(["CAP_FOWNER"]),
      ambient: new Set(["CAP_FSETID"]),
      noNewPrivileges: true,
    });
  });

  test("bits of later kernels are left out", () => {
    expect(effective("8000000000001000")).toEqual(["CAP_NET_ADMIN"]);
  });

  test("a status without them is an error", () => {
    expect(() => parsePrivileges("Name:\tnode\n")).toThrow(/capabilities/);
  });
});

describe("kernel settings", () => {
  test("one is read without its line end", () => {
    expect(readSysctl("kernel/ostype")).toBe("Linux");
  });

  test("one that does not exist says so", () => {
    expect(() => readSysctl("net/ipv6/conf/no-such-link/mtu")).toThrow(
      /^cannot read net\/ipv6\/conf\/no-such-link\/mtu: ENOENT, .*no such interface$/,
    );
    expect(() => writeSysctl("net/no/such", 1)).toThrow(/^cannot set net\/no\/such to 1: ENOENT/);
  });

  test.each(["net.ipv6.bindv6only", "", "/etc/passwd", "net/../../etc/passwd", "net//ipv6"])(
    "the name %j is refused",
    (name) => {
      expect(() => readSysctl(name)).toThrow(SysctlError);
      expect(() => writeSysctl(name, 1)).toThrow(/names no kernel setting/);
    },
  );
});

describe("system errors", () => {
  test("the message says what was tried, what happened and what to do", () => {
    const error = new SystemError("bind NFQUEUE number 7", "netlink", 1);
    expect(error).toMatchObject({ code: "EPERM", errno: 1, syscall: "netlink" });
    expect(error.message).toBe(
      "cannot bind NFQUEUE number 7: netlink: EPERM, operation not permitted; run as root, or " +
        "give the process CAP_NET_ADMIN and CAP_NET_RAW (systemd: AmbientCapabilities=)",
    );
  });

  test("the kernel's own words are in it", () => {
    const error = new SystemError("set route x", "netlink", 22, "Gateway can not be local");
    expect(error.message).toBe(
      "cannot set route x: netlink: EINVAL, invalid argument: Gateway can not be local",
    );
  });

  test("a packet filter's refusal is told from a missing privilege", () => {
    expect(new SystemError("send", "sendmsg", 1).message).toContain("packet filter");
  });

  test("an error number that Node has no name for keeps its number", () => {
    expect(new SystemError("do it", "send", 9999).code).toBe("errno 9999");
  });
});
