import type { Instruction } from "../../../src/linux/socket-filter.ts";

/** Stands for SKF_NET_OFF: loads from here on read the IPv6 header. */
const NETWORK = 0xfff0_0000;
const IPV6_HEADER_LENGTH = 40;

interface Machine {
  accumulator: number;
  index: number;
  next: number;
  /** What the program returned. */
  verdict: number | undefined;
}

type Step = (machine: Machine, operand: number, load: DataView) => void;

/** The instructions that ours have, as the kernel carries them out. */
const STEPS: Readonly<Record<number, Step>> = {
  5: (machine, operand) => {
    machine.next += operand;
  },
  6: (machine, operand) => {
    machine.verdict = operand;
  },
  7: (machine) => {
    machine.index = machine.accumulator;
  },
  12: (machine) => {
    machine.accumulator = (machine.accumulator + machine.index) >>> 0;
  },
  32: (machine, operand, packet) => {
    machine.accumulator = packet.getUint32(position(operand));
  },
  36: (machine, operand) => {
    machine.accumulator = Math.imul(machine.accumulator, operand) >>> 0;
  },
};

const CONDITIONS: Readonly<Record<number, (accumulator: number, operand: number) => boolean>> = {
  21: (accumulator, operand) => accumulator === operand,
  53: (accumulator, operand) => accumulator >= operand,
};

/** Whether a raw socket with this filter gets the packet, which begins with its IPv6 header. */
export function runFilter(program: readonly Instruction[], packet: Uint8Array): boolean {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  const machine: Machine = { accumulator: 0, index: 0, next: 0, verdict: undefined };
  while (machine.verdict === undefined) {
    const [code, jumpTrue, jumpFalse, operand] = program[machine.next] ?? [0, 0, 0, 0];
    machine.next += 1;
    const condition = CONDITIONS[code];
    const step = STEPS[code];
    if (condition) machine.next += condition(machine.accumulator, operand) ? jumpTrue : jumpFalse;
    else if (step) step(machine, operand, view);
    else throw new Error(`no instruction of ours: 0x${code.toString(16)}`);
  }
  return machine.verdict !== 0;
}

function position(operand: number): number {
  return operand >= NETWORK ? operand - NETWORK : IPV6_HEADER_LENGTH + operand;
}
