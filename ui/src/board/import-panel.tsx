/** An import: the file and how to read it, then the task's live bar, then what became of the rows. */
import { type FormEvent, useEffect, useRef, useState } from "react";
import { Problem, useAttempt } from "./attempt";
import { Choice } from "./choice";
import { FollowedTask, TaskPanel } from "./followed-task";
import { type ChosenFile, columnsOf, firstLines, submitImport } from "./import-file";
import { FORMATS, ImportProgress, type ImportResult } from "./items";
import type { Import } from "./transfers";
import { ValueView } from "./value-view";

type PanelProps = { importing: Import; ended: () => void };

/** Show the form of a chosen file, else the task. The heading takes the focus when a file is chosen or on its way. */
export function ImportPanel({ importing, ended }: PanelProps) {
  const { chosen, id, started, close } = importing;
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    if (chosen) heading.current?.focus();
  }, [chosen]);
  const start = (task: string): void => {
    heading.current?.focus();
    started(task);
  };
  const panel = { heading, close };
  if (chosen) {
    return (
      <TaskPanel {...panel} title={`Import ${chosen.file.name}`} task={null} closing="Dismiss">
        <ImportForm chosen={chosen} started={start} />
      </TaskPanel>
    );
  }
  return (
    <TaskPanel {...panel} title="Import" task={id} closing="Close">
      {id && (
        <FollowedTask
          key={id}
          id={id}
          document={ImportProgress}
          ended={ended}
          say={({ result }) => result && sayResult(result)}
        >
          {({ result }) => result && result.rejected.length > 0 && <ValueView value={result.rejected} name="rejected-rows" />}
        </FollowedTask>
      )}
    </TaskPanel>
  );
}

function sayResult({ inserted, updated, rejected, rejectedTotal }: ImportResult): string {
  const [made, changed, left] = [inserted, updated, rejectedTotal].map((count) => count.toLocaleString("en"));
  const cut = rejectedTotal > rejected.length ? `; the first ${rejected.length} of these are listed` : "";
  return `${made} inserted, ${changed} updated, ${left} left out${cut}.`;
}

function ImportForm({ chosen, started }: { chosen: ChosenFile; started: (id: string) => void }) {
  const [format, setFormat] = useState(chosen.format);
  const [wanted, setWanted] = useState("name");
  const { isBusy, error, attempt } = useAttempt();
  const read = { ...chosen, format };
  const keys = [...new Set(["name", ...columnsOf(read)])];
  const key = keys.includes(wanted) ? wanted : "name";
  const onSubmit = (event: FormEvent): void => {
    event.preventDefault();
    void attempt(async () => started(await submitImport(read, key)));
  };
  return (
    <form onSubmit={onSubmit}>
      <p className="hint">
        {chosen.file.size.toLocaleString("en")} bytes. A row whose key an item has already updates that item; any other
        makes a new one.
      </p>
      <pre>{firstLines(chosen)}</pre>
      <div className="toolbar">
        <Choice label="Format" value={format} among={FORMATS} choose={setFormat} />
        <Choice label="Key" value={key} among={keys} choose={setWanted} />
        <button type="submit" className="primary" disabled={isBusy}>
          {isBusy ? "Sending…" : "Import"}
        </button>
      </div>
      <Problem words={error} />
    </form>
  );
}
