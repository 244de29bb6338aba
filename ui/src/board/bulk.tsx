/** Cancelling or retrying all that match: first counted, then confirmed, then done in as many calls as it takes. */
import { useEffect, useRef, useState } from "react";
import { Problem } from "./attempt";
import { change, sayError } from "./client";
import type { TaskFilter } from "./documents";
import { type BulkResult, CancelTasks, RetryTasks } from "./mutations";

type Deed = "Cancel" | "Retry";
type Step = { deed: Deed; counted: BulkResult | null; done: number | null; error: string | null };

const DOCUMENTS = { Cancel: CancelTasks, Retry: RetryTasks };
/** A call changes up to 1,000 tasks; those submitted meanwhile must not keep it going for ever. */
const MOST_CALLS = 100;

async function perform(deed: Deed, filter: TaskFilter, told: (done: number) => void): Promise<void> {
  let done = 0;
  for (let call = 0; call < MOST_CALLS; call += 1) {
    // oxlint-disable-next-line no-await-in-loop -- each call says whether there is more.
    const { bulk } = await change(DOCUMENTS[deed], { filter, dryRun: false });
    done += bulk.changed;
    told(done);
    if (!bulk.hasMore || bulk.changed === 0) return;
  }
}

export function BulkActions({ filter }: { filter: TaskFilter }) {
  const [step, setStep] = useState<Step | null>(null);
  const count = async (deed: Deed): Promise<void> => {
    const begun: Step = { deed, counted: null, done: null, error: null };
    setStep(begun);
    try {
      const { bulk } = await change(DOCUMENTS[deed], { filter, dryRun: true });
      setStep({ ...begun, counted: bulk });
    } catch (cause) {
      setStep({ ...begun, error: sayError(cause) });
    }
  };
  const confirm = async (asked: Step): Promise<void> => {
    setStep({ ...asked, done: 0 });
    try {
      await perform(asked.deed, filter, (done) => setStep({ ...asked, done }));
    } catch (cause) {
      setStep({ ...asked, error: sayError(cause) });
    }
  };
  return (
    <>
      {(["Cancel", "Retry"] as const).map((deed) => (
        <button type="button" key={deed} onClick={() => void count(deed)}>
          {deed} all that match…
        </button>
      ))}
      {step && <Confirmation step={step} filter={filter} confirm={() => void confirm(step)} close={() => setStep(null)} />}
    </>
  );
}

function sayFilter({ kinds, statuses }: TaskFilter): string {
  const which = statuses?.length ? `with the status ${statuses.join(" or ")}` : "with any status that allows it";
  return `${kinds?.length ? `Tasks of the kind ${kinds.join(" or ")}` : "Tasks of all kinds"} ${which}.`;
}

type ConfirmationProps = { step: Step; filter: TaskFilter; confirm: () => void; close: () => void };

function Confirmation({ step, filter, confirm, close }: ConfirmationProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const { deed, counted, done, error } = step;
  const matched = counted && `${counted.matched.toLocaleString("en")}${counted.hasMore ? " or more" : ""}`;
  const tasks = counted?.matched === 1 && !counted.hasMore ? "task" : "tasks";
  return (
    <dialog ref={dialog} onClose={close} aria-labelledby="bulk-title">
      <h2 id="bulk-title">{matched === null ? "Counting…" : `${deed} ${matched} ${tasks}?`}</h2>
      <p>{sayFilter(filter)} Nothing is changed before you confirm.</p>
      <Problem words={error} />
      {done !== null && (
        <output>
          {done.toLocaleString("en")} {deed === "Cancel" ? "asked to stop" : "submitted again"}
        </output>
      )}
      <div className="toolbar">
        {done === null && (
          <button type="button" className="danger" disabled={!counted || counted.matched === 0} onClick={confirm}>
            {deed} {matched} {tasks}
          </button>
        )}
        <button type="button" onClick={() => dialog.current?.close()}>
          Close
        </button>
      </div>
    </dialog>
  );
}
