import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

const PROJECT = fileURLToPath(new URL("../..", import.meta.url));
const NOBODY = "65534";

/** Mounts project and node where anybody may read them, then becomes a user without rights. */
const AS_NOBODY = `
set -e
mkdir "$1/project"
mount --bind "$2" "$1/project"
touch "$1/node"
mount --bind "$3" "$1/node"
shift 3
exec setpriv --reuid ${NOBODY} --regid ${NOBODY} --clear-groups --bounding-set=-all "$@"
`;

describe("a lab without root", () => {
  let directory: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "l3lab-test-"));
    await chmod(directory, 0o755);
  });

  afterEach(async () => {
    await rm(directory, { recursive: true });
  });

  async function runAsNobody(script: string, ...args: string[]) {
    const shell = join(directory, "shell");
    await writeFile(shell, `#!/bin/sh\n${script}\n`);
    await chmod(shell, 0o755);
    const command = [join(directory, "node"), join(directory, "project/bin/l3shim"), ...args];
    const setUp = ["-c", AS_NOBODY, "sh", directory, PROJECT, process.execPath];
    const env = { ...process.env, SHELL: shell, HOME: directory };
    const child = spawn("unshare", ["--mount", "sh", ...setUp, ...command], { env });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        output += text;
      });
    }
    const [code] = (await once(child, "close")) as [number];
    return { code, output };
  }

  test("builds its network in a user namespace, where packets pass", async () => {
    const script = "id -u; a ping -6 -c1 -W2 2001:db8:1:b::1";
    const { code, output } = await runAsNobody(script, "lab", "shell", "--no-shim");
    expect(output).toMatch(/^0\n/);
    expect(output).toContain("1 packets transmitted, 1 received");
    expect(code).toBe(0);
  });

  test("runs daemons that establish a context", async () => {
    const script = [
      "a l3shim status >/dev/null || exit 3",
      "a ping -6 -q -i 0.01 -c 150 2001:db8:1:b::1 >/dev/null",
      "a l3shim contexts --json",
    ].join("\n");
    const { output, code } = await runAsNobody(script, "lab", "shell");
    expect(output).toContain('"state":"ESTABLISHED"');
    expect(code).toBe(0);
  });

  test("ends with the shell's exit status", async () => {
    expect((await runAsNobody("exit 7", "lab", "shell", "--no-shim")).code).toBe(7);
  });
});
