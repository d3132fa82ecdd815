import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { chmod, chown, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { DAEMON_CAPABILITIES } from "../../src/daemon/privileges.ts";
import { LabProcess } from "../../src/lab/lab-process.ts";
import { Network } from "../../src/lab/network.ts";
import { inNamespace, run, tryRun, waitFor } from "../../src/lab/shell.ts";
import { PAPER_TOPOLOGY } from "../../src/lab/topology.ts";
import { type CapabilityName, parsePrivileges } from "../../src/linux/capabilities.ts";

/** What a real daemon may do once it runs, and who may tell it to do something. */

const A1 = "2001:db8:1:a::1";
const B1 = "2001:db8:1:b::1";
const PROJECT = new URL("../..", import.meta.url).pathname;

/** The user and group l3shim that the tests' daemons find; the machine's own are not asked. */
const SHIM = 61_234;
const STRANGER = 61_235;

let network: Network;
let directory: string;
let socket: string;
let daemon: LabProcess | undefined;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "l3shim-privileges-"));
  await chmod(directory, 0o755);
  socket = join(directory, "run", "control.sock");
  await writeFile(
    join(directory, "passwd"),
    `root:x:0:0::/root:/bin/sh\nl3shim:x:${SHIM}:${SHIM}::/nonexistent:/usr/sbin/nologin\n`,
  );
  await writeFile(join(directory, "group"), `root:x:0:\nl3shim:x:${SHIM}:\n`);
  network = await Network.create(PAPER_TOPOLOGY);
});

afterEach(async () => {
  await daemon?.stop();
  daemon = undefined;
  await network.destroy();
  await rm(directory, { recursive: true });
});

interface DaemonChoice {
  readonly options?: readonly string[];
  readonly config?: string;
  /** "nfqueue" when it is left out: all of its privileges are those of every daemon. */
  readonly dataplane?: string;
  /** Where the daemon finds L3SHIM. */
  readonly project?: string;
  /** What starts it, with its arguments. */
  readonly launcher?: readonly string[];
}

/** The command line of a daemon that sees a system with a user and a group l3shim. */
async function daemonCommand(choice: DaemonChoice): Promise<string[]> {
  const { options = [], config = "", project = PROJECT, launcher = [] } = choice;
  const { dataplane = "nfqueue" } = choice;
  const file = (name: string) => join(directory, name);
  await writeFile(
    file("config.toml"),
    `${[
      'security = "unverified"',
      `dataplane = "${dataplane}"`,
      `ebpf.pin-directory = "${file("bpf")}"`,
      config,
    ].join("\n")}\n`,
  );
  const mounts = [
    [file("passwd"), "/etc/passwd"],
    [file("group"), "/etc/group"],
    [PROJECT, project],
  ].map((pair) => `mount --bind ${pair.join(" ")}`);
  const script = `${mounts.join(" && ")} && exec "$@"`;
  const paths = ["--config", file("config.toml"), "--socket", socket, "--state-dir", file("state")];
  const command = [...launcher, join(project, "bin/l3shim"), "daemon", ...paths, ...options];
  return ["unshare", "--mount", "sh", "-c", script, "sh", ...command];
}

/** A daemon on host a, at work. Returns its process ID. */
async function startDaemon(choice: DaemonChoice = {}): Promise<number> {
  const argv = await daemonCommand(choice);
  const started = new LabProcess({ namespace: network.namespace("a"), argv });
  daemon = started;
  const failure = () => started.failure("the daemon did not start");
  await waitFor(
    () => {
      if (started.hasEnded) throw failure();
      return Promise.resolve(isOpen() || undefined);
    },
    { timeout: 30_000, interval: 50, timeoutError: failure },
  );
  return started.pid ?? 0;
}

/** The daemon widens the socket's mode when it belongs to the right group. */
function isOpen(): boolean {
  return existsSync(socket) && (statSync(socket).mode & 0o060) !== 0;
}

/** /proc/PID/task/TID/status of every thread. */
function threadsOf(pid: number): string[] {
  const tasks = `/proc/${pid}/task`;
  return readdirSync(tasks).map((thread) => readFileSync(`${tasks}/${thread}/status`, "utf8"));
}

function expectConfined(pid: number, user: RegExp, kept = DAEMON_CAPABILITIES): void {
  const threads = threadsOf(pid);
  expect(threads.length).toBeGreaterThan(1);
  for (const status of threads) {
    expect(parsePrivileges(status)).toEqual({
      inheritable: kept,
      permitted: kept,
      effective: kept,
      bounding: kept,
      ambient: kept,
      noNewPrivileges: true,
    });
    expect(status).toMatch(user);
  }
}

/** What the netfilter rules, policy rules, routes and addresses of host a are. */
async function hostState(): Promise<string[]> {
  const commands = [
    "ip -6 rule",
    "ip -6 route show table all",
    "ip -6 -o address",
    "ip6tables-save",
  ];
  const texts = await Promise.all(
    commands.map((command) => run(inNamespace(network.namespace("a"), command.split(" ")))),
  );
  const lines = texts.flatMap((text) => text.split("\n"));
  return lines.filter((line) => !/^(#|\*|:|COMMIT|$)/.test(line)).toSorted();
}

/** A request of another user: the status and the body of the answer, or why there is none. */
async function ask(user: readonly string[], method: string, path: string, body = {}) {
  const program = `
    const { request } = require("node:http");
    const [socketPath, method, path, body] = process.argv.slice(1);
    const call = request({ socketPath, method, path }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part) => (text += part));
      response.on("end", () => console.log(response.statusCode, text));
    });
    call.on("error", (error) => console.log(error.code)).end(method === "GET" ? "" : body);`;
  const node = [process.execPath, "-e", program, socket, method, path, JSON.stringify(body)];
  return (await tryRun(["setpriv", ...user, ...node])).stdout;
}

function uid(id: number, groups = "--clear-groups"): string[] {
  return [`--reuid=${id}`, `--regid=${id}`, groups];
}

function open(user: readonly string[]) {
  return ask(user, "POST", "/v1/contexts", { localUlid: A1, peerUlid: B1 });
}

describe("the running daemon", () => {
  test("that stays root has two capabilities, in every thread", async () => {
    const pid = await startDaemon({ options: ["--user", "root"] });
    expectConfined(pid, /^Uid:\t0\t0\t0\t0$/m);
    expect(readFileSync(`/proc/${pid}/environ`, "utf8")).toContain("L3SHIM_CONFINED");
    expect(statSync(socket)).toMatchObject({ uid: 0, gid: SHIM, mode: 0o140660 });
  });

  test("has CAP_BPF too where packets are carried in the kernel", async () => {
    const pid = await startDaemon({ dataplane: "ebpf" });
    const kept = new Set<CapabilityName>([...DAEMON_CAPABILITIES, "CAP_BPF"]);
    expectConfined(pid, new RegExp(`^Uid:(\t${SHIM}){4}$`, "m"), kept);
    expect(await ask(uid(0), "GET", "/v1/status")).toContain('"dataplane":"ebpf"');
  });

  test("carries packets in user space where it was not given CAP_BPF, and says why", async () => {
    const launcher = ["setpriv", "--bounding-set=-bpf"];
    const pid = await startDaemon({ dataplane: "auto", launcher });
    expectConfined(pid, new RegExp(`^Uid:(\t${SHIM}){4}$`, "m"));
    expect(await ask(uid(0), "GET", "/v1/status")).toContain('"dataplane":"nfqueue"');
    expect(daemon?.errorText).toMatch(/no data plane in the kernel.*CAP_BPF/s);
  });

  test("runs as the user l3shim where there is one, and leaves the host as it was", async () => {
    const before = await hostState();
    const pid = await startDaemon();
    expectConfined(pid, new RegExp(`^Uid:(\t${SHIM}){4}\nGid:(\t${SHIM}){4}$`, "m"));
    expect(threadsOf(pid)[0]).toMatch(new RegExp(`^Groups:\t${SHIM} *$`, "m"));
    expect(statSync(socket)).toMatchObject({ uid: SHIM, gid: SHIM, mode: 0o140660 });
    expect(await ask(uid(0), "GET", "/v1/status")).toMatch(/^200 /);
    expect(await open(uid(0))).toMatch(/^200 /);
    expect(await hostState()).not.toEqual(before);
    await daemon?.stop();
    expect(await hostState()).toEqual(before);
  });
});

/** What a service manager does by User=, AmbientCapabilities= and the like. */
const AS_A_SERVICE = [
  ...["setpriv", "--no-new-privs", `--reuid=${SHIM}`, `--regid=${SHIM}`, "--clear-groups"],
  ...["inh", "ambient"].map((set) => `--${set}-caps=-all,+net_admin,+net_raw`),
  "--bounding-set=-all,+net_admin,+net_raw",
];

test("a daemon that has nothing to give up does not execute itself again", async () => {
  await chown(directory, SHIM, SHIM);
  const pid = await startDaemon({ launcher: AS_A_SERVICE });
  expectConfined(pid, new RegExp(`^Uid:(\t${SHIM}){4}$`, "m"));
  expect(readFileSync(`/proc/${pid}/environ`, "utf8")).not.toContain("L3SHIM_CONFINED");
});

test("a daemon in a private directory runs with one capability more, if it is told to", async () => {
  const project = await privateMountPoint();
  const options = ["--user", "root", "--read-any-file"];
  const pid = await startDaemon({ project, options });
  const kept = new Set<CapabilityName>([...DAEMON_CAPABILITIES, "CAP_DAC_READ_SEARCH"]);
  expectConfined(pid, /^Uid:\t0\t0\t0\t0$/m, kept);
});

describe("the control socket", () => {
  test("is closed to others than root and the group", async () => {
    await startDaemon();
    expect(await ask(uid(STRANGER), "GET", "/v1/status")).toBe("EACCES\n");
    expect(await ask(uid(STRANGER, `--groups=${SHIM}`), "GET", "/v1/status")).toMatch(/^200 /);
  });

  test("that is open to everyone lets root and the group change something", async () => {
    await startDaemon({ config: 'control.readers = "everyone"' });
    expect(statSync(socket).mode & 0o777).toBe(0o666);
    expect(await ask(uid(STRANGER), "GET", "/v1/status")).toMatch(/^200 /);
    const refused = await open(uid(STRANGER));
    expect(refused).toMatch(/^403 /);
    expect(refused).toContain(`uid ${STRANGER} may look at the daemon but not change anything`);
    expect(await ask(uid(0), "GET", "/v1/contexts")).toContain('"contexts":[]');
    expect(await open(uid(STRANGER, `--groups=1,${SHIM}`))).toMatch(/^200 /);
    // There is a context now, which is told only to whoever may make one.
    expect(await open(uid(0))).toMatch(/^409 /);
    expect(await open(uid(STRANGER))).toMatch(/^403 /);
  });
});

describe("a daemon ends with exit status 1", () => {
  async function refusal(choice: DaemonChoice): Promise<string> {
    const argv = await daemonCommand(choice);
    const { code, stderr } = await tryRun(inNamespace(network.namespace("a"), argv));
    expect(code).toBe(1);
    return stderr;
  }

  test("and names the user that does not exist", async () => {
    expect(await refusal({ options: ["--user", "nobody-at-all"] })).toMatch(
      /^cannot run as the user nobody-at-all: there is no such user; .*--user/,
    );
  });

  test("and names the directory that its user may not write to", async () => {
    await mkdir(join(directory, "state"), { mode: 0o755 });
    expect(await refusal({})).toMatch(
      new RegExp(`uid ${SHIM} .*may not write to ${directory}/state \\(EACCES\\); chown it`),
    );
  });

  test("and names the program that root may not read without CAP_DAC_OVERRIDE", async () => {
    const project = await privateMountPoint();
    expect(await refusal({ project, options: ["--user", "root"] })).toMatch(
      new RegExp(`uid 0 .*may not read ${project}/bin/l3shim \\(EACCES\\); .*--read-any-file`),
    );
  });
});

/** A place in a directory that only its owner, another user, may enter. */
async function privateMountPoint(): Promise<string> {
  const home = join(directory, "home");
  await mkdir(join(home, "project"), { recursive: true });
  await chmod(home, 0o700);
  await chown(home, STRANGER, STRANGER);
  return join(home, "project");
}
