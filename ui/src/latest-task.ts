/** Remembers the task this browser submitted last, so that nobody has to copy an id from one tab to the next. */
import { useGraphiQL } from "@graphiql/react";
import type { ExecutionResult } from "graphql";
import { useEffect } from "react";

/** Stands in a sample's variables where a task's id belongs. */
export const TASK_ID = "<paste the id>";

const SUBMITTED = "headway:submitted";
const OFFERED = "headway:offered";

/** Remember the id of the task that a mutation answered with. Anything that is not a task is passed over. */
export function rememberTask(result: ExecutionResult): void {
  const task = Object.values(result.data ?? {}).find(isTask);
  if (task) localStorage.setItem(SUBMITTED, task.id);
}

function isTask(value: unknown): value is { id: string; status: string } {
  if (typeof value !== "object" || value === null) return false;
  return "id" in value && typeof value.id === "string" && "status" in value && typeof value.status === "string";
}

/** Put the newest task's id into the variables of the tab in front, where a placeholder or the last offer stands. */
export function OfferLatestTask(): null {
  const editor = useGraphiQL((state) => state.variableEditor);
  const tab = useGraphiQL((state) => state.activeTabIndex);
  useEffect(() => {
    const taskId = localStorage.getItem(SUBMITTED);
    if (!editor || !taskId) return;
    const before = editor.getValue();
    // An id that someone typed or pasted is theirs: only ours is ever replaced.
    const ours = [TASK_ID, localStorage.getItem(OFFERED) ?? TASK_ID];
    const after = ours.reduce((text, id) => text.replace(`"${id}"`, `"${taskId}"`), before);
    if (after === before) return;
    localStorage.setItem(OFFERED, taskId);
    editor.setValue(after);
    // oxlint-disable-next-line react/exhaustive-effect-dependencies -- another tab in front means other variables.
  }, [editor, tab]);
  return null;
}
