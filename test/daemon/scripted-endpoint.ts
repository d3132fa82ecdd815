import type { Output } from "../../src/core/output.ts";

/** An endpoint that records its inputs and puts out what a test prepares. */
export class ScriptedEndpoint {
  readonly inputs: string[] = [];
  readonly outputs: Output[] = [];
  /** Called on every input, after it is recorded. */
  react: (input: string) => void = () => undefined;
  deadline: number | undefined;

  handleControl(now: number): void {
    this.#take(`control ${now}`);
  }
  handleTrigger(now: number): void {
    this.#take(`trigger ${now}`);
  }
  handleTraffic(now: number): void {
    this.#take(`traffic ${now}`);
  }
  handleTrafficResumed(now: number): void {
    this.#take(`resumed ${now}`);
  }
  handleInboundPayload(now: number): void {
    this.#take(`payload ${now}`);
  }
  handleUnknownTag(now: number): void {
    this.#take(`unknown-tag ${now}`);
  }
  handleIcmpError(now: number): void {
    this.#take(`icmp ${now}`);
  }
  handleTimeout(now: number): void {
    this.#take(`timeout ${now}`);
  }
  poll(): Output | undefined {
    return this.outputs.shift();
  }
  pollTimeout(): object | undefined {
    return this.deadline === undefined ? undefined : { at: this.deadline, reason: "probe" };
  }

  #take(input: string): void {
    this.inputs.push(input);
    this.react(input);
  }
}
