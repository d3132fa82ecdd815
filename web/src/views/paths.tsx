import { useState } from "preact/hooks";
import type { ContextStatus, PairStatus } from "../../../src/daemon/api.ts";
import { client, Refusal } from "../client.ts";
import { MatrixView, nameOf } from "./matrix-view.tsx";

interface PathsProps {
  readonly context: ContextStatus;
  readonly pairs: readonly PairStatus[];
  readonly mayChange: boolean;
  readonly onDone: () => void;
}

/** The paths, and for those who may what can be done about them. */
export function Paths({ context, pairs, mayChange, onDone }: PathsProps) {
  const [chosen, setChosen] = useState<PairStatus>();
  const [answer, setAnswer] = useState("");
  const { localTag, pin, preferred, reapState } = context;
  const run = (words: string, name: string, body: object = {}) => {
    void answerOf(words, () => client.command(localTag, name, body)).then((said) => {
      setAnswer(said);
      onDone();
    });
  };
  const pair = chosen === undefined ? {} : pairBody(chosen);
  const onPath = chosen === undefined ? "the current path" : "the chosen path";
  return (
    <>
      <h3>Paths</h3>
      <MatrixView
        context={context}
        pairs={pairs}
        chosen={chosen && nameOf(chosen)}
        onChoose={mayChange ? setChosen : undefined}
      />
      {mayChange ? (
        <div class="commands">
          <button
            type="button"
            disabled={reapState !== "Operational"}
            onClick={() => run("Exploring.", "explore")}
          >
            Explore now
          </button>
          <button
            type="button"
            disabled={chosen === undefined}
            title={chosen === undefined ? "Choose a path above first" : undefined}
            onClick={() => run("It is used whenever it works.", "prefer", pair)}
          >
            Prefer the chosen path
          </button>
          {preferred === null || pin !== null ? null : (
            <button type="button" onClick={() => run("Whichever works is used.", "prefer")}>
              Prefer none
            </button>
          )}
          {pin === null ? (
            <button type="button" onClick={() => run("Pinned until it fails.", "pin", pair)}>
              Pin to {onPath}
            </button>
          ) : (
            <button type="button" onClick={() => run("Unpinned.", "unpin")}>
              Unpin
            </button>
          )}
          <CloseButton onClose={() => run("Closed.", "close")} />
          <output class="answer">{answer}</output>
        </div>
      ) : null}
    </>
  );
}

/** `words` once it is done, or why not. */
async function answerOf(words: string, command: () => Promise<object>): Promise<string> {
  try {
    await command();
    return words;
  } catch (error) {
    if (!(error instanceof Refusal || error instanceof TypeError)) throw error;
    return `Not done: ${error.message}`;
  }
}

function pairBody({ localLocator, peerLocator, encapsulated }: PairStatus): object {
  const addresses = { localLocator, peerLocator };
  return encapsulated === true ? { ...addresses, encapsulated } : addresses;
}

/** It ends the protection of a session, so that one click is not enough. */
function CloseButton({ onClose }: { readonly onClose: () => void }) {
  const [asked, setAsked] = useState(false);
  if (!asked) {
    return (
      <button type="button" onClick={() => setAsked(true)}>
        Close …
      </button>
    );
  }
  return (
    <>
      <button type="button" class="danger" onClick={onClose}>
        Close: sessions that have moved end
      </button>
      <button type="button" onClick={() => setAsked(false)}>
        Keep
      </button>
    </>
  );
}
