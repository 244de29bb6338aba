/** An export: what goes into the file, then the task's live bar, then the file. */
import { type FormEvent, useEffect, useRef, useState } from "react";
import { Problem, useAttempt } from "./attempt";
import { sayTime } from "./bar";
import { Choice } from "./choice";
import { authorization, change, credential } from "./client";
import { FollowedTask, TaskPanel } from "./followed-task";
import { ExportItems, ExportProgress, type ExportResult, type FileFormat, FORMATS, type ItemFilter } from "./items";
import type { Export } from "./transfers";

type PanelProps = { exporting: Export; filter: ItemFilter };

/** Show the form, else the task. The heading takes the focus when the form is opened or sent. */
export function ExportPanel({ exporting, filter }: PanelProps) {
  const { id, started, close } = exporting;
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    if (!id) heading.current?.focus();
  }, [id]);
  const start = (task: string): void => {
    heading.current?.focus();
    started(task);
  };
  return (
    <TaskPanel title="Export" heading={heading} task={id} closing={id ? "Close" : "Dismiss"} close={close}>
      {id === null && <ExportForm filter={filter} started={start} />}
      {id !== null && (
        <FollowedTask key={id} id={id} document={ExportProgress} say={({ result }) => result && sayFile(result)}>
          {({ result }) => result && <SaveFile url={result.url} />}
        </FollowedTask>
      )}
    </TaskPanel>
  );
}

function sayFile({ rows, bytes, expiresAt }: ExportResult): string {
  const size = `${rows.toLocaleString("en")} ${rows === 1 ? "item" : "items"} in ${bytes.toLocaleString("en")} bytes`;
  return `${size}, kept until ${sayTime(expiresAt)}.`;
}

function ExportForm({ filter, started }: { filter: ItemFilter; started: (id: string) => void }) {
  const [format, setFormat] = useState<FileFormat>("CSV");
  const { isBusy, error, attempt } = useAttempt();
  const onSubmit = (event: FormEvent): void => {
    event.preventDefault();
    void attempt(async () => started((await change(ExportItems, { filter, format })).exportItems.id));
  };
  const which = Object.keys(filter).length > 0 ? "The items that match the conditions" : "All items";
  return (
    <form onSubmit={onSubmit}>
      <p className="hint">{which}, as a file that can be imported again; it is kept for a day.</p>
      <div className="toolbar">
        <Choice label="Format" value={format} among={FORMATS} choose={setFormat} />
        <button type="submit" className="primary" disabled={isBusy}>
          Export
        </button>
      </div>
      <Problem words={error} />
    </form>
  );
}

const SAVE = "Save the file";

/** A link, which streams to the disk; where the gateway wants to know who asks, no link can tell it. */
function SaveFile({ url }: { url: string }) {
  const { error, attempt } = useAttempt();
  if (!credential()) {
    return (
      <p>
        <a className="button" href={url} download>
          {SAVE}
        </a>
      </p>
    );
  }
  return (
    <div className="toolbar">
      <button type="button" onClick={() => void attempt(() => fetchFile(url))}>
        {SAVE}
      </button>
      <Problem as="span" words={error} />
    </div>
  );
}

async function fetchFile(url: string): Promise<void> {
  const response = await fetch(url, { headers: authorization() });
  if (!response.ok) throw new Error(`The file was refused with the status ${response.status}; it may no longer be there`);
  const [, name = "items"] = /filename="([^"]+)"/.exec(response.headers.get("content-disposition") ?? "") ?? [];
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}
