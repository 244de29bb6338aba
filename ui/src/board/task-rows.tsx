/** The rows of a list of tasks: only those in sight are in the page, and the arrow keys go from one to the next. */
/* oxlint-disable jsx-a11y/prefer-tag-over-role -- rows that stand where they are told are no table to a browser */
import { useVirtualizer } from "@tanstack/react-virtual";
import { type KeyboardEvent, memo, useEffect, useRef, useState, useSyncExternalStore } from "react";
import { Link } from "wouter";
import { Bar, paceOf, sayDuration, sayProgress, sayTime, StatusWord } from "./bar";
import type { Task } from "./documents";
import type { LiveTasks } from "./live-tasks";

const NARROW = matchMedia("(max-width: 45rem)");
const ROW_PX = 44;
const NARROW_ROW_PX = 76;
const OVERSCAN = 8;
const NEAR_THE_END = 20;

function useIsNarrow(): boolean {
  return useSyncExternalStore(
    (listener) => {
      NARROW.addEventListener("change", listener);
      return () => NARROW.removeEventListener("change", listener);
    },
    () => NARROW.matches,
  );
}

export function TaskRows({ live, label }: { live: LiveTasks; label: string }) {
  const { tasks, loadMore, hasMore, isLoading } = live;
  const scroller = useRef<HTMLDivElement>(null);
  const rowPx = useIsNarrow() ? NARROW_ROW_PX : ROW_PX;
  const rows = useVirtualizer({
    count: tasks.length,
    getScrollElement: () => scroller.current,
    getItemKey: (index) => tasks[index]?.id ?? index,
    estimateSize: () => rowPx,
    overscan: OVERSCAN,
  });
  useEffect(() => rows.measure(), [rows, rowPx]);
  const shown = rows.getVirtualItems();
  const lastShown = shown.at(-1)?.index ?? 0;
  useEffect(() => {
    if (hasMore && !isLoading && lastShown >= tasks.length - NEAR_THE_END) loadMore();
  }, [hasMore, isLoading, lastShown, tasks.length, loadMore]);
  const [activeId, onKeyDown] = useArrowKeys(tasks, scroller, (index) => rows.scrollToIndex(index));

  return (
    <div className="rows" role="table" aria-label={label} aria-rowcount={tasks.length + 1}>
      <div className="row row-head" role="row" aria-rowindex={1}>
        {["Status", "Kind", "Progress", "Left", "Attempt", "Submitted"].map((head) => (
          <span role="columnheader" key={head} className={`cell-${head.toLowerCase()}`}>
            {head}
          </span>
        ))}
      </div>
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions -- the keys move the focus among its links. */}
      <div className="rows-scroll" ref={scroller} role="rowgroup" onKeyDown={onKeyDown}>
        <div className="rows-all" role="presentation" style={{ height: rows.getTotalSize() }}>
          {shown.map(({ index, start, key }) => {
            const task = tasks[index];
            return task && <Row key={key} task={task} index={index} start={start} isActive={task.id === activeId} />;
          })}
        </div>
        {tasks.length === 0 && !isLoading && <p className="empty">No task matches.</p>}
      </div>
    </div>
  );
}

type RowProps = { task: Task; index: number; start: number; isActive: boolean };

const Row = memo(function Row({ task, index, start, isActive }: RowProps) {
  const eta = paceOf(task)?.etaS;
  return (
    <div className="row" role="row" aria-rowindex={index + 2} style={{ transform: `translateY(${start}px)` }}>
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
    </div>
  );
});

/** One row is in the tab order; the arrows, Page, Home and End keys choose which, by its task and not by its place. */
function useArrowKeys(
  tasks: Task[],
  scroller: React.RefObject<HTMLDivElement | null>,
  scrollTo: (index: number) => void,
): [string | undefined, (event: KeyboardEvent) => void] {
  const [chosen, setChosen] = useState<string>();
  const wanted = useRef<string>(undefined);
  const index = Math.max(0, tasks.findIndex(({ id }) => id === chosen));
  // A row that is scrolled to is there one rendering later.
  useEffect(() => {
    if (wanted.current === undefined) return;
    const link = scroller.current?.querySelector<HTMLElement>(`[data-task="${wanted.current}"]`);
    if (!link) return;
    link.focus({ preventScroll: true });
    wanted.current = undefined;
  });
  const onKeyDown = (event: KeyboardEvent): void => {
    const last = tasks.length - 1;
    const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -last, End: last };
    const step = steps[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const next = Math.min(last, Math.max(0, index + step));
    wanted.current = tasks[next]?.id;
    setChosen(wanted.current);
    scrollTo(next);
  };
  return [tasks[index]?.id, onKeyDown];
}
