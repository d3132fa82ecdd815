import { formatAge } from "../../../src/cli/spans.ts";
import type { ContextStatus, DirectionStatus, PairStatus } from "../../../src/daemon/api.ts";
import { matrixOf, PATH_TONES } from "../model/matrix.ts";
import { formatPrecise } from "../model/timeline.ts";
import { shorten } from "../model/words.ts";
import { useNow } from "./hooks.ts";
import { Sign } from "./signs.tsx";

interface MatrixProps {
  readonly context: ContextStatus;
  readonly pairs: readonly PairStatus[];
  /** With a choice of one pair. */
  readonly chosen?: string | undefined;
  readonly onChoose?: ((pair: PairStatus) => void) | undefined;
}

/** Each pair of the context's locators, and how it fares in each direction. */
export function MatrixView(props: MatrixProps) {
  const { columns, rows } = matrixOf(props.context, props.pairs);
  return (
    <div class="matrix-box">
      <table class="matrix">
        <caption class="unseen">Paths: locators of this host down, of the peer across</caption>
        <thead>
          <tr>
            <td class="corner">this host ╲ peer</td>
            {columns.map(({ address, note }) => (
              <th key={address} scope="col">
                <Locator address={address} note={note} />
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ address, note, cells }) => (
            <tr key={address}>
              <th scope="row">
                <Locator address={address} note={note} />
              </th>
              {cells.map((cell, column) => (
                <td key={columns[column]?.address} class={cell.some(isInUse) ? "in-use" : ""}>
                  {cell.map((pair) => (
                    <Pair key={nameOf(pair)} {...props} pair={pair} />
                  ))}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function nameOf({ localLocator, peerLocator, encapsulated }: PairStatus): string {
  return `${localLocator} ${peerLocator}${encapsulated === true ? " in UDP" : ""}`;
}

function isInUse({ inUse }: PairStatus): boolean {
  return inUse;
}

function Locator({ address, note }: { readonly address: string; readonly note: string }) {
  return (
    <>
      <span class="mono" title={address}>
        {shorten(address)}
      </span>
      {note === "" ? null : <span class="note">{note}</span>}
    </>
  );
}

function Pair(props: MatrixProps & { readonly pair: PairStatus }) {
  const { pair, chosen, onChoose } = props;
  const name = nameOf(pair);
  return (
    <div class="pair">
      <div class="pair-head">
        {onChoose === undefined ? null : (
          <input
            type="radio"
            name="pair"
            aria-label={`Choose ${pair.localLocator} to ${pair.peerLocator}`}
            checked={chosen === name}
            onChange={() => onChoose(pair)}
          />
        )}
        {pair.inUse ? <span class="use">in use</span> : null}
        {pair.encapsulated === true ? <span class="note">in UDP</span> : null}
        {pair.roundTrip === null ? null : (
          <span class="number rtt">RTT {formatPrecise(pair.roundTrip)}</span>
        )}
      </div>
      <Direction arrow="→" name="out" status={pair.out} />
      <Direction arrow="←" name="in" status={pair.in} />
    </div>
  );
}

function Direction(props: {
  readonly arrow: string;
  readonly name: string;
  readonly status: DirectionStatus;
}) {
  const { arrow, name, status } = props;
  const now = useNow();
  const tone = PATH_TONES[status.state];
  return (
    <div class={`direction ${tone}`}>
      <span aria-hidden="true">{arrow}</span>
      <span class="unseen">{name}</span>
      <Sign tone={tone} />
      <span>{status.state}</span>
      <span class="number age">
        {status.lastProbe === null ? "" : `probe ${formatAge(status.lastProbe, now)}`}
      </span>
    </div>
  );
}
