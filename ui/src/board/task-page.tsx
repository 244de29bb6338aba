/** One task: its bar, what can be done about it, its timeline and log, what went in and what came out. */
import { type ReactNode, useEffect, useState } from "react";
import { Link, useLocation } from "wouter";
import { Problem, useAttempt } from "./attempt";
import { Bar, paceOf, sayDuration, sayProgress, sayRate, sayTime, StatusWord } from "./bar";
import { ask, change } from "./client";
import { type FullTask, hasEnded, type Payload, type Task, TaskPayload, TaskProgress } from "./documents";
import { useFollowed } from "./followed";
import { CancelTask, RetryTask } from "./mutations";
import { LogView, TimelineView, useTaskEvents } from "./task-events";
import { useTitle } from "./title";
import { ValueView } from "./value-view";

function useTask(id: string): { task: FullTask | null; payload: Payload | null; error: string | null } {
  const { data, error, fail } = useFollowed(TaskProgress, id);
  const [payload, setPayload] = useState<Payload | null>(null);
  const task = data?.taskProgress ?? null;
  const isThere = task !== null;
  const ended = task !== null && hasEnded(task.status);
  useEffect(() => {
    if (!isThere) return;
    ask(TaskPayload, { id }).then((answer) => setPayload(answer.task), fail);
    // oxlint-disable-next-line react/exhaustive-effect-dependencies -- the end brings the result.
  }, [id, isThere, ended, fail]);
  return { task, payload, error };
}

export function TaskPage({ id }: { id: string }) {
  const { task, payload, error } = useTask(id);
  const events = useTaskEvents(id);
  useTitle(task ? `${task.status} ${task.kind}` : "Task");
  return (
    <>
      <h1>
        {task?.kind ?? "Task"} <code className="full-id">{id}</code>
      </h1>
      <Problem words={error} />
      {task && (
        <Head task={task}>
          <Actions task={task} />
        </Head>
      )}
      {task && (
        <div className="columns">
          <TimelineView events={events} />
          <LogView events={events} />
          <section aria-labelledby="input">
            <h2 id="input">Input</h2>
            {payload && <ValueView value={payload.inputJson} name="input" />}
          </section>
          <section aria-labelledby="result">
            <h2 id="result">Result</h2>
            {payload && payload.resultJson !== null ? (
              <ValueView value={payload.resultJson} name="result" />
            ) : (
              <p className="empty">{hasEnded(task.status) ? "It ended without a result." : "Not yet."}</p>
            )}
          </section>
          <Facts task={task} />
        </div>
      )}
    </>
  );
}

export type Standing = Task & Pick<FullTask, "cancelReason">;

/** Show where a task stands; what can be done about it goes inside. */
export function Head({ task, children }: { task: Standing; children: ReactNode }) {
  const pace = paceOf(task);
  return (
    <section aria-label="Where it stands" className="head">
      <div className="head-line">
        <StatusWord status={task.status} />
        <span className="percent">{sayProgress(task)}</span>
        {task.progress.total !== null && (
          <span>
            {task.progress.current.toLocaleString("en")} of {task.progress.total.toLocaleString("en")}
          </span>
        )}
        {pace && <span>{sayRate(pace.ratePerS)}</span>}
        {pace?.etaS != null && <span>{sayDuration(pace.etaS)} left</span>}
        {children}
      </div>
      <Bar task={task} />
      {task.progress.message && <p className="message">{task.progress.message}</p>}
      {task.error && (
        <p className="error">
          <strong>{task.error.code}</strong> {task.error.message}
        </p>
      )}
      {task.cancelReason && <p className="message">Asked to stop: {task.cancelReason}</p>}
    </section>
  );
}

export function Actions({ task }: { task: Standing }) {
  const [, navigate] = useLocation();
  const { isBusy, error, attempt } = useAttempt();
  const cancel = async (): Promise<void> => {
    await change(CancelTask, { id: task.id });
  };
  const retry = async (): Promise<void> => {
    const { retryTask } = await change(RetryTask, { id: task.id });
    navigate(`/tasks/${retryTask.id}`);
  };
  return (
    <span className="actions">
      <Problem as="span" words={error} />
      {hasEnded(task.status) ? (
        <button type="button" disabled={isBusy} onClick={() => void attempt(retry)}>
          Retry
        </button>
      ) : (
        <button
          type="button"
          className="danger"
          disabled={isBusy || task.status === "CANCELLING" || task.cancelReason !== null}
          onClick={() => void attempt(cancel)}
        >
          Cancel
        </button>
      )}
    </span>
  );
}

function Facts({ task }: { task: FullTask }) {
  const moments: [string, string | null][] = [
    ["Submitted", task.createdAt],
    ["To start at", task.runAt],
    ["Deadline", task.deadline],
    ["Started", task.startedAt],
    ["Worker seen", task.workerSeenAt],
    ["Ended", task.finishedAt],
  ];
  return (
    <section aria-labelledby="facts">
      <h2 id="facts">Facts</h2>
      <dl>
        <dt>Attempt</dt>
        <dd>
          {task.attempt} of {task.maxAttempts}, {sayDuration(task.timeoutS)} each
        </dd>
        <dt>Priority</dt>
        <dd>{task.priority}</dd>
        <dt>Owner</dt>
        <dd>{task.owner}</dd>
        {moments.map(
          ([label, moment]) =>
            moment && (
              <div className="pair" key={label}>
                <dt>{label}</dt>
                <dd>
                  <time dateTime={moment}>{sayTime(moment)}</time>
                </dd>
              </div>
            ),
        )}
        {task.retryOf && (
          <div className="pair">
            <dt>Repeats</dt>
            <dd>
              <Link href={`/tasks/${task.retryOf}`}>{task.retryOf}</Link>
            </dd>
          </div>
        )}
        {task.batchId && (
          <div className="pair">
            <dt>Batch</dt>
            <dd>
              <Link href={`/batches/${task.batchId}`}>{task.batchId}</Link>
            </dd>
          </div>
        )}
      </dl>
    </section>
  );
}
