/** Dead letters: why each could not be run, and the two things to do about it. */
import { useEffect, useState } from "react";
import { Link } from "wouter";
import { Problem } from "./attempt";
import { sayTime } from "./bar";
import { ask, change, sayError } from "./client";
import { type DeadLetter, DiscardDeadLetter, ListDeadLetters, ResendDeadLetter } from "./dead-letters";
import { useTitle } from "./title";

export function DeadLettersPage() {
  useTitle("Dead letters");
  const [letters, setLetters] = useState<DeadLetter[] | null>(null);
  const [after, setAfter] = useState<string | null>(null);
  const [error, setError] = useState<string | null>(null);
  const attempt = async (act: () => Promise<void>): Promise<void> => {
    try {
      await act();
      setError(null);
    } catch (cause) {
      setError(sayError(cause));
    }
  };
  const load = async (from: string | null): Promise<void> => {
    const { nodes, pageInfo } = (await ask(ListDeadLetters, { after: from })).deadLetters;
    setLetters((before) => (from === null ? nodes : [...(before ?? []), ...nodes]));
    setAfter(pageInfo.hasNextPage ? pageInfo.endCursor : null);
  };
  // oxlint-disable-next-line react/exhaustive-effect-dependencies, react/set-state-in-effect -- once; it sets what comes later.
  useEffect(() => void attempt(() => load(null)), []);
  const act = (document: typeof ResendDeadLetter | typeof DiscardDeadLetter, id: string): void =>
    void attempt(async () => {
      await change<unknown, { id: string }>(document, { id });
      setLetters((before) => before?.filter((letter) => letter.id !== id) ?? null);
    });
  return (
    <>
      <h1>Dead letters</h1>
      <p className="hint">Messages that nobody could read, and tasks of an unknown kind; each is kept for 30 days.</p>
      <Problem words={error} />
      {letters?.length === 0 && <p className="empty">There are none.</p>}
      {letters?.map((letter) => (
        <Letter
          key={letter.id}
          letter={letter}
          resend={() => act(ResendDeadLetter, letter.id)}
          discard={() => act(DiscardDeadLetter, letter.id)}
        />
      ))}
      {after !== null && (
        <button type="button" onClick={() => void attempt(() => load(after))}>
          Show more
        </button>
      )}
    </>
  );
}

function Letter({ letter, resend, discard }: { letter: DeadLetter; resend: () => void; discard: () => void }) {
  return (
    <section className="panel" aria-label={letter.reason}>
      <div className="toolbar">
        <strong className="error">{letter.reason}</strong>
        <time dateTime={letter.at}>{sayTime(letter.at)}</time>
        <span className="hint">{letter.taskId === null ? `from ${letter.queue ?? "no queue"}` : "a task"}</span>
        <span className="actions">
          <button type="button" disabled={!letter.isComplete} onClick={resend}>
            Send again
          </button>{" "}
          <button type="button" className="danger" onClick={discard}>
            Discard
          </button>
        </span>
      </div>
      {letter.taskId !== null && <Link href={`/tasks/${letter.taskId}`}>{letter.taskId}</Link>}
      {letter.text !== null && <pre>{letter.text}</pre>}
    </section>
  );
}
