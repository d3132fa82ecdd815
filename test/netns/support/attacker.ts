import { fileURLToPath } from "node:url";
import { LabProcess } from "../../../src/lab/lab-process.ts";
import { removeNamespace } from "../../../src/lab/leftovers.ts";
import { ipBatchIn, run, waitFor } from "../../../src/lab/shell.ts";
import { CORE, literal } from "../../../src/lab/topology.ts";
import type { Address } from "../../../src/wire/address.ts";
import type { ShimLab } from "./shim-lab.ts";

const NAME = "mallory";
const NETWORK = "2001:db8:fff0:66";
const PROGRAM = fileURLToPath(new URL("./flood.mjs", import.meta.url));
const PATIENCE = 30_000;

export interface FloodOptions {
  readonly type: "I1" | "I2";
  readonly victims: readonly Address[];
}

interface FloodReport {
  readonly sent: number;
  /** From the first message to the last. */
  readonly milliseconds: number;
}

/**
 * A host behind the lab's core router, which lets pass whatever sources it forges. What comes
 * back for them ends here, unanswered.
 */
export class Attacker {
  readonly #namespace: string;
  readonly #router: string;

  private constructor(namespace: string, router: string) {
    this.#namespace = namespace;
    this.#router = router;
  }

  /** Goes with the lab. */
  static async join({ lab }: ShimLab): Promise<Attacker> {
    const { network } = lab;
    const [own, core] = [network.namespace(NAME), network.namespace(CORE)];
    await run(["ip", "netns", "add", own]);
    lab.defer(() => removeNamespace(own));
    const ends = ["name", NAME, "netns", core, "type", "veth", "peer", "name", CORE, "netns", own];
    await run(["ip", "link", "add", ...ends]);
    await ipBatchIn(own, [
      `address add ${NETWORK}::2/64 dev ${CORE} nodad`,
      `link set dev ${CORE} up`,
    ]);
    await ipBatchIn(core, [
      `address add ${NETWORK}::1/64 dev ${NAME} nodad`,
      `link set dev ${NAME} up`,
      `route add default via ${literal(`${NETWORK}::2`)} dev ${NAME}`,
    ]);
    const link = await run(["ip", "-n", core, "-j", "link", "show", "dev", NAME]);
    const [{ address }] = JSON.parse(link) as [{ address: string }];
    return new Attacker(own, address);
  }

  /** Sends such messages without a pause from when this resolves until it is stopped. */
  async flood(options: FloodOptions): Promise<Flood> {
    const task = JSON.stringify({ ...options, device: CORE, router: this.#router });
    const flood = new Flood(this.#namespace, [process.execPath, PROGRAM, task]);
    await flood.started();
    return flood;
  }
}

class Flood {
  readonly #lines: string[] = [];
  readonly #process: LabProcess;

  constructor(namespace: string, argv: readonly string[]) {
    const onLine = (line: string): void => {
      this.#lines.push(line);
    };
    this.#process = new LabProcess({ namespace, argv, onLine });
  }

  get isOver(): boolean {
    return this.#lines.length > 1 || this.#process.hasEnded;
  }

  async started(): Promise<void> {
    await this.#line(1);
  }

  async stop(): Promise<FloodReport> {
    this.#process.closeInput();
    return JSON.parse(await this.#line(2)) as FloodReport;
  }

  async #line(number: number): Promise<string> {
    return await waitFor(
      () => {
        if (this.#process.hasEnded && this.#lines.length < number) throw this.#failure();
        return this.#lines[number - 1];
      },
      { timeout: PATIENCE, timeoutError: () => this.#failure() },
    );
  }

  #failure(): Error {
    return this.#process.failure("the flood did not get so far");
  }
}
