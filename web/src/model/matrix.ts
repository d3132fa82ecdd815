import type { ContextStatus, DirectionStatus, PairStatus } from "../../../src/daemon/api.ts";
import type { Tone } from "./words.ts";

/** Local locators down, peer locators across; in a cell the pair, and its form in UDP. */
export interface Matrix {
  readonly columns: readonly PeerColumn[];
  readonly rows: readonly {
    readonly address: string;
    readonly note: string;
    readonly cells: readonly (readonly PairStatus[])[];
  }[];
}

export interface PeerColumn {
  readonly address: string;
  readonly note: string;
}

export function matrixOf(context: ContextStatus, pairs: readonly PairStatus[]): Matrix {
  const { localLocators, peerLocators, localUlid, peerUlid } = context;
  const columns = peerLocators.map((locator) => ({
    address: locator.address,
    note: noteOf(locator.address === peerUlid, locator.broken ? "broken" : undefined, locator),
  }));
  const rows = localLocators.map((locator) => ({
    address: locator.address,
    note: noteOf(locator.address === localUlid, locator.operational ? undefined : "down", locator),
    cells: columns.map(({ address }) =>
      pairs.filter((pair) => pair.localLocator === locator.address && pair.peerLocator === address),
    ),
  }));
  return { columns, rows };
}

function noteOf(
  isUlid: boolean,
  trouble: string | undefined,
  { transient }: { readonly transient: boolean },
): string {
  const notes = [isUlid ? "ULID" : undefined, transient ? "transient" : undefined, trouble];
  return notes.filter((note) => note !== undefined).join(", ");
}

export const PATH_TONES: Readonly<Record<DirectionStatus["state"], Tone>> = {
  confirmed: "good",
  probing: "busy",
  dead: "bad",
  unverified: "idle",
};
