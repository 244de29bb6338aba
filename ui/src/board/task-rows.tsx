/** The rows of a list of tasks. */
/* oxlint-disable jsx-a11y/prefer-tag-over-role -- rows that stand where they are told are no table to a browser */
import { Link } from "wouter";
import { Bar, paceOf, sayDuration, sayProgress, sayTime, StatusWord } from "./bar";
import type { Task } from "./documents";
import type { LiveTasks } from "./live-tasks";
import { VirtualRows } from "./virtual-rows";

const HEADS = ["Status", "Kind", "Progress", "Left", "Attempt", "Submitted"];

export function TaskRows({ live, label }: { live: LiveTasks; label: string }) {
  const { tasks, hasMore, isLoading, loadMore } = live;
  const page = { hasMore, isLoading, loadMore };
  return <VirtualRows {...page} entries={tasks} heads={HEADS} label={label} empty="No task matches." Cells={TaskCells} />;
}

function TaskCells({ entry: task, isActive }: { entry: Task; isActive: boolean }) {
  const eta = paceOf(task)?.etaS;
  return (
    <>
      <span role="cell" className="cell-status">
        <StatusWord status={task.status} />
      </span>
      <span role="cell" className="cell-kind">
        <Link href={`/tasks/${task.id}`} tabIndex={isActive ? 0 : -1} data-task={task.id}>
          {task.kind} <span className="short-id">…{task.id.slice(-8)}</span>
        </Link>
      </span>
      <span role="cell" className="cell-progress">
        <Bar task={task} /> <span className="percent">{sayProgress(task)}</span>
      </span>
      <span role="cell" className="cell-left">
        {eta === undefined || eta === null ? "" : sayDuration(eta)}
      </span>
      <span role="cell" className="cell-attempt">
        {task.attempt} of {task.maxAttempts}
      </span>
      <span role="cell" className="cell-submitted">
        <time dateTime={task.createdAt}>{sayTime(task.createdAt)}</time>
      </span>
    </>
  );
}
