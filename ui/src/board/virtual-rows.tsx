/** The rows of a long list: only those in sight are in the page, and the arrow keys go from one to the next. */
/* oxlint-disable jsx-a11y/prefer-tag-over-role -- rows that stand where they are told are no table to a browser */
import { useVirtualizer } from "@tanstack/react-virtual";
import { type ComponentType, type KeyboardEvent, memo, useEffect, useRef, useState, useSyncExternalStore } from "react";

const NARROW = matchMedia("(max-width: 45rem)");
const ROW_PX = 44;
const NARROW_ROW_PX = 76;
const OVERSCAN = 8;
const NEAR_THE_END = 20;

export type Listed = { id: string };
/** The cells of one row. Its only link is in the tab order while the row is the active one. */
export type Cells<Entry> = ComponentType<{ entry: Entry; isActive: boolean }>;

type Rows<Entry> = {
  entries: Entry[];
  /** The columns' names; each is also, in small letters, the class `cell-…` of its head. */
  heads: readonly string[];
  label: string;
  empty: string;
  className?: string;
  Cells: Cells<Entry>;
  hasMore: boolean;
  isLoading: boolean;
  loadMore: () => void;
};

function useIsNarrow(): boolean {
  return useSyncExternalStore(
    (listener) => {
      NARROW.addEventListener("change", listener);
      return () => NARROW.removeEventListener("change", listener);
    },
    () => NARROW.matches,
  );
}

export function VirtualRows<Entry extends Listed>(props: Rows<Entry>) {
  const { entries, heads, label, empty, className = "", Cells, hasMore, isLoading, loadMore } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const rowPx = useIsNarrow() ? NARROW_ROW_PX : ROW_PX;
  const rows = useVirtualizer({
    count: entries.length,
    getScrollElement: () => scroller.current,
    getItemKey: (index) => entries[index]?.id ?? index,
    estimateSize: () => rowPx,
    overscan: OVERSCAN,
  });
  useEffect(() => rows.measure(), [rows, rowPx]);
  const shown = rows.getVirtualItems();
  const lastShown = shown.at(-1)?.index ?? 0;
  useEffect(() => {
    if (hasMore && !isLoading && lastShown >= entries.length - NEAR_THE_END) loadMore();
  }, [hasMore, isLoading, lastShown, entries.length, loadMore]);
  const [activeId, onKeyDown] = useArrowKeys(entries, scroller, (index) => rows.scrollToIndex(index));

  return (
    <div className={`rows ${className}`} role="table" aria-label={label} aria-rowcount={entries.length + 1}>
      <div className="row row-head" role="row" aria-rowindex={1}>
        {heads.map((head) => (
          <span role="columnheader" key={head} className={`cell-${head.toLowerCase()}`}>
            {head}
          </span>
        ))}
      </div>
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions -- the keys move the focus among its links. */}
      <div className="rows-scroll" ref={scroller} role="rowgroup" onKeyDown={onKeyDown}>
        <div className="rows-all" role="presentation" style={{ height: rows.getTotalSize() }}>
          {shown.map(({ index, start, key }) => {
            const entry = entries[index];
            return (
              entry && (
                <Row key={key} entry={entry} index={index} start={start} isActive={entry.id === activeId} Cells={Cells} />
              )
            );
          })}
        </div>
        {entries.length === 0 && !isLoading && (
          <div role="row" className="empty">
            <span role="cell">{empty}</span>
          </div>
        )}
      </div>
    </div>
  );
}

type RowProps<Entry> = { entry: Entry; index: number; start: number; isActive: boolean; Cells: Cells<Entry> };

const Row = memo(function Row<Entry extends Listed>({ entry, index, start, isActive, Cells }: RowProps<Entry>) {
  return (
    <div
      className="row"
      role="row"
      data-row={entry.id}
      aria-rowindex={index + 2}
      style={{ transform: `translateY(${start}px)` }}
    >
      <Cells entry={entry} isActive={isActive} />
    </div>
  );
}) as <Entry extends Listed>(props: RowProps<Entry>) => React.ReactNode;

/** One row is in the tab order; the arrows, Page, Home and End keys choose which, by its entry and not by its place. */
function useArrowKeys(
  entries: Listed[],
  scroller: React.RefObject<HTMLDivElement | null>,
  scrollTo: (index: number) => void,
): [string | undefined, (event: KeyboardEvent) => void] {
  const [chosen, setChosen] = useState<string>();
  const wanted = useRef<string>(undefined);
  const index = Math.max(0, entries.findIndex(({ id }) => id === chosen));
  // A row that is scrolled to is there one rendering later.
  useEffect(() => {
    if (wanted.current === undefined) return;
    const link = scroller.current?.querySelector<HTMLElement>(`[data-row="${wanted.current}"] a`);
    if (!link) return;
    link.focus({ preventScroll: true });
    wanted.current = undefined;
  });
  const onKeyDown = (event: KeyboardEvent): void => {
    const last = entries.length - 1;
    const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -last, End: last };
    const step = steps[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const next = Math.min(last, Math.max(0, index + step));
    wanted.current = entries[next]?.id;
    setChosen(wanted.current);
    scrollTo(next);
  };
  return [entries[index]?.id, onKeyDown];
}
