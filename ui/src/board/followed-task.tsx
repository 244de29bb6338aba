/** A task that a page has submitted, on that page: its live bar, and what it brought. */
import { type ReactNode, type RefObject, useEffect, useRef } from "react";
import { type TypedDocumentNode } from "urql";
import { Link } from "wouter";
import { Problem } from "./attempt";
import { hasEnded } from "./documents";
import { useFollowed } from "./followed";
import { Actions, Head, type Standing } from "./task-page";

type PanelProps = {
  title: string;
  /** It may be given the focus. */
  heading: RefObject<HTMLHeadingElement | null>;
  /** The task's id, once there is one. */
  task: string | null;
  closing: string;
  close: () => void;
  children: ReactNode;
};

/** Frame what leads to a task and the task itself. */
export function TaskPanel({ title, heading, task, closing, close, children }: PanelProps) {
  return (
    <section className="panel task-panel" aria-label={title}>
      <div className="head-line">
        <h2 ref={heading} tabIndex={-1}>
          {title}
        </h2>
        <span className="actions">
          {task && <Link href={`/tasks/${task}`}>The task</Link>}
          <button type="button" onClick={close}>
            {closing}
          </button>
        </span>
      </div>
      {children}
    </section>
  );
}

type FollowedProps<Told extends Standing> = {
  id: string;
  document: TypedDocumentNode<{ taskProgress: Told }, { id: string }>;
  ended?: () => void;
  /** Return in words what a task brought; nothing before its end. */
  say: (task: Told) => string | null | undefined;
  children: (task: Told) => ReactNode;
};

/** Follow a task; say it when it has ended. */
export function FollowedTask<Told extends Standing>({ id, document, ended, say, children }: FollowedProps<Told>) {
  const { data, error } = useFollowed(document, id);
  const task = data?.taskProgress ?? null;
  const latest = useRef(ended);
  useEffect(() => {
    latest.current = ended;
  });
  useEffect(() => {
    if (task && hasEnded(task.status)) latest.current?.();
  }, [task]);
  return (
    <>
      <Problem words={error} />
      {task && <Head task={task}>{!hasEnded(task.status) && <Actions task={task} />}</Head>}
      {/* It is there before its text: only then does a screen reader say it. */}
      <output>{task && say(task)}</output>
      {task && children(task)}
    </>
  );
}
