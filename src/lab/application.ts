import { fileURLToPath } from "node:url";
import type { AppOutput, AppResult } from "./apps/output.ts";
import { LabProcess } from "./lab-process.ts";
import type { Network } from "./network.ts";
import { waitFor } from "./shell.ts";

export type AppName = AppResult["app"];

/** ms from the start to the "ready"; a busy machine takes seconds to start Node. */
const START_PATIENCE = 20_000;

/** One of the lab's own applications, running on a host. */
export class Application {
  readonly name: AppName;
  readonly host: string;
  readonly #process: LabProcess;
  readonly #outputs: AppOutput[] = [];
  #result: AppResult | undefined;

  private constructor(network: Network, host: string, name: AppName, options: AppOptions) {
    this.name = name;
    this.host = host;
    this.#process = new LabProcess({
      namespace: network.namespace(host),
      argv: [process.execPath, scriptPath(name), ...toArguments(options)],
      onLine: (line) => this.#take(JSON.parse(line) as AppOutput),
    });
  }

  /**
   * Starts the application and waits until it is ready: listening, connected or sending.
   * @throws LabError when it ends before, or never gets there.
   */
  static async start(network: Network, host: string, name: AppName, options: AppOptions) {
    const application = new Application(network, host, name, options);
    await application.#untilReady();
    return application;
  }

  /** All that it wrote so far. */
  get outputs(): readonly AppOutput[] {
    return this.#outputs;
  }

  /** Its account, once it has finished; `undefined` before and when it failed. */
  get result(): AppResult | undefined {
    return this.#result;
  }

  get hasEnded(): boolean {
    return this.#process.hasEnded;
  }

  /** Why it has no result. */
  get errorText(): string {
    const error = this.#outputs.find((output) => output.type === "error");
    return error?.type === "error" ? error.message : this.#process.errorText;
  }

  /** Tells it to finish, which a TCP sender does by sending its end. */
  finish(): void {
    this.#process.closeInput();
  }

  /** Waits up to `patience` ms for the result, then ends the process whatever it does. */
  async collect(patience: number): Promise<AppResult | undefined> {
    await this.#process.endsWithin(patience);
    await this.#process.stop("SIGKILL");
    return this.#result;
  }

  #take(output: AppOutput): void {
    this.#outputs.push(output);
    if (output.type === "result") this.#result = output;
  }

  async #untilReady(): Promise<void> {
    const what = `the lab's ${this.name} did not start on host ${this.host}`;
    const failure = () => this.#process.failure(`${what} (${this.errorText})`);
    await waitFor(
      () => {
        if (this.#process.hasEnded) throw failure();
        return this.#outputs.find((output) => output.type === "ready");
      },
      { timeout: START_PATIENCE, timeoutError: failure },
    );
  }
}

export type AppOptions = Readonly<Record<string, string | number>>;

/** The applications run from the build, even when a test runs the lab from its sources. */
function scriptPath(name: AppName): string {
  return fileURLToPath(new URL(`../../dist/lab/apps/${name}.js`, import.meta.url));
}

function toArguments(options: AppOptions): string[] {
  return Object.entries(options).flatMap(([name, value]) => [`--${name}`, `${value}`]);
}
