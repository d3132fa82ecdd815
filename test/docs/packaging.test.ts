import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { DEFAULT_SOCKET } from "../../src/daemon/api.ts";
import { parseConfig } from "../../src/daemon/config/config.ts";
import { keptCapabilities } from "../../src/daemon/privileges.ts";

const PACKAGING = new URL("../../packaging/", import.meta.url);

function read(file: string): string {
  return readFileSync(new URL(file, PACKAGING), "utf8");
}

/** All values of a setting, in the order of the file. */
function settings(unit: string, name: string): string[] {
  const lines = read(`systemd/${unit}`).split("\n");
  return lines.filter((line) => line.startsWith(`${name}=`)).map((l) => l.slice(name.length + 1));
}

test("the service has the capabilities that the daemon keeps, and no other", () => {
  const kept = keptCapabilities({ readAnyFile: false, bpf: true }, new Set(["CAP_BPF"]));
  for (const name of ["AmbientCapabilities", "CapabilityBoundingSet"]) {
    const [value = ""] = settings("l3shim.service", name);
    expect(value.split(" ").toSorted()).toEqual([...kept].toSorted());
  }
});

test("units and daemon agree on where the bpffs, the socket and the state are", () => {
  const { pinDirectory } = parseConfig("", "none").ebpf;
  expect(settings("run-l3shim-bpf.mount", "Where")).toEqual([pinDirectory]);
  expect(`run-l3shim-bpf.mount`).toBe(`${pinDirectory.slice(1).replaceAll("/", "-")}.mount`);
  const [runtime] = settings("l3shim.service", "RuntimeDirectory");
  expect(DEFAULT_SOCKET).toBe(`/run/${runtime}/control.sock`);
  expect(settings("l3shim.service", "StateDirectory")).toEqual(["l3shim"]);
});

test("what a crashed daemon left is flushed only when no other will start", () => {
  expect(settings("l3shim.service", "OnFailure")).toEqual(["l3shim-flush.service"]);
  expect(settings("l3shim.service", "ExecStopPost")).toEqual([]);
  expect(settings("l3shim-flush.service", "ExecStart")).toEqual(["/usr/bin/l3shim daemon --flush"]);
});

test.each(
  readdirSync(new URL("debian", PACKAGING)).filter((name) =>
    /(postinst|prerm|postrm|sh)$/.test(name),
  ),
)("%s is a shell script", (name) => {
  const script = new URL(`debian/${name}`, PACKAGING).pathname;
  expect(execFileSync("sh", ["-n", script], { encoding: "utf8" })).toBe("");
});
