/** What happened to a task: its timeline, and what its attempts said. */
import { useEffect, useLayoutEffect, useRef, useState } from "react";
import { sayTime, StatusWord } from "./bar";
import { follow } from "./client";
import { type TaskEvent, TaskEvents } from "./documents";
import { compareCursors } from "./live-tasks";

const FLUSH_MS = 100;
const MAX_EVENTS = 1_000;
/** Whoever has scrolled up by no more than this still reads the end. */
const NEAR_THE_END_PX = 24;

/** Follow the events that are worth a line, each once: the bar is told of progress already. */
export function useTaskEvents(id: string): TaskEvent[] {
  const [events, setEvents] = useState<TaskEvent[]>([]);
  useEffect(() => {
    let last = "0-0";
    let told: TaskEvent[] = [];
    let timer: ReturnType<typeof setTimeout> | undefined;
    const flush = (): void => {
      timer = undefined;
      const news = told;
      told = [];
      setEvents((before) => [...before, ...news].slice(-MAX_EVENTS));
    };
    const next = ({ taskEvents }: { taskEvents: TaskEvent }): void => {
      if (compareCursors(taskEvents.cursor, last) <= 0) return;
      last = taskEvents.cursor;
      if (taskEvents.__typename === "Progressed") return;
      told.push(taskEvents);
      timer ??= setTimeout(flush, FLUSH_MS);
    };
    const stop = follow(TaskEvents, { id, after: null }, next, () => undefined);
    return () => {
      clearTimeout(timer);
      stop();
      setEvents([]);
    };
  }, [id]);
  return events;
}

export function TimelineView({ events }: { events: TaskEvent[] }) {
  return (
    <section aria-labelledby="timeline">
      <h2 id="timeline">Timeline</h2>
      <ol className="timeline">
        {events.map(
          (event) =>
            event.__typename === "StateChanged" && (
              <li key={event.cursor}>
                <StatusWord status={event.status} /> <time dateTime={event.at}>{sayTime(event.at)}</time>
                <span className="by">
                  {" "}
                  by {event.by}
                  {event.attempt > 0 && `, attempt ${event.attempt}`}
                </span>
                {event.reason && <div>{event.reason}</div>}
                {event.error && (
                  <div className="error">
                    <strong>{event.error.code}</strong> {event.error.message}
                  </div>
                )}
              </li>
            ),
        )}
      </ol>
    </section>
  );
}

/** Keep a box at its end whenever `last` is another, unless the reader has scrolled up in it. */
function useEndInSight(last: string | undefined): { ref: React.RefObject<HTMLDivElement | null>; onScroll: () => void } {
  const ref = useRef<HTMLDivElement>(null);
  const isAtEnd = useRef(true);
  useLayoutEffect(() => {
    if (last !== undefined && ref.current && isAtEnd.current) ref.current.scrollTop = ref.current.scrollHeight;
  }, [last]);
  const onScroll = (): void => {
    if (!ref.current) return;
    const { scrollHeight, scrollTop, clientHeight } = ref.current;
    isAtEnd.current = scrollHeight - scrollTop - clientHeight <= NEAR_THE_END_PX;
  };
  return { ref, onScroll };
}

export function LogView({ events }: { events: TaskEvent[] }) {
  const said = events.filter(({ __typename }) => __typename === "Logged" || __typename === "Gap");
  const box = useEndInSight(said.at(-1)?.cursor);
  return (
    <section aria-labelledby="log">
      <h2 id="log">Log</h2>
      {said.length === 0 && <p className="empty">It has said nothing that is still kept.</p>}
      {said.length > 0 && (
        // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- a keyboard must be able to scroll it.
        <div {...box} className="log" role="log" aria-labelledby="log" tabIndex={0}>
          <ol>
          {said.map((event) => (
            <li key={event.cursor} className={event.__typename === "Gap" ? "gap" : ""}>
              <time dateTime={event.at}>{new Date(event.at).toLocaleTimeString()}</time>{" "}
              {event.__typename === "Logged" ? event.text : event.__typename === "Gap" && `… ${event.why}`}
            </li>
          ))}
          </ol>
        </div>
      )}
    </section>
  );
}
