/** Batches: one with its roll-up and its tasks, and those among the latest tasks. */
import { useQuery } from "urql";
import { Link } from "wouter";
import { Problem } from "./attempt";
import { sayDuration, sayRate, sayTime } from "./bar";
import { BulkActions } from "./bulk";
import { sayError } from "./client";
import { BatchProgress, ListTasks } from "./documents";
import { useFollowed } from "./followed";
import { useLiveTasks } from "./live-tasks";
import { TaskRows } from "./task-rows";
import { useTitle } from "./title";

const LATEST = { filter: {}, after: null };
const MOST_FOLLOWED = 10;

/** Show how far a batch is, how fast, and how many of its tasks have which status. */
function RollUp({ id }: { id: string }) {
  const { data, error } = useFollowed(BatchProgress, id);
  if (error) return <Problem words={error} />;
  if (!data) return <p className="empty">Asking…</p>;
  const batch = data.batchProgress;
  return (
    <div className="head">
      <div className="head-line">
        <span className="percent">{Math.floor(batch.percent)} %</span>
        <span>
          {batch.ended.toLocaleString("en")} of {batch.total.toLocaleString("en")} ended
        </span>
        {batch.ratePerS > 0 && <span>{sayRate(batch.ratePerS)}</span>}
        {batch.etaS !== null && batch.etaS > 0 && <span>{sayDuration(batch.etaS)} left</span>}
        {batch.counts.map(({ status, count }) => (
          <span key={status} className={`status status-${status.toLowerCase()}`}>
            {count.toLocaleString("en")} {status}
          </span>
        ))}
        <time dateTime={batch.createdAt}>{sayTime(batch.createdAt)}</time>
      </div>
      <progress
        className={`bar status-${batch.finishedAt ? "succeeded" : "running"}`}
        aria-label="Progress of the batch"
        max={100}
        value={batch.percent}
      />
    </div>
  );
}

export function BatchPage({ id }: { id: string }) {
  useTitle("Batch");
  const filter = { batchId: id };
  const live = useLiveTasks(filter);
  return (
    <>
      <h1>
        Batch <code className="full-id">{id}</code>
      </h1>
      <RollUp id={id} />
      <div className="toolbar">
        <BulkActions filter={filter} />
      </div>
      <TaskRows live={live} label="Tasks of the batch, the latest first" />
    </>
  );
}

export function BatchesPage() {
  useTitle("Batches");
  const [{ data, error }] = useQuery({ query: ListTasks, variables: LATEST });
  const ids = new Set(data?.tasks.nodes.flatMap(({ batchId }) => batchId ?? []));
  return (
    <>
      <h1>Batches</h1>
      <p className="hint">Those among your latest 100 tasks; any other is at its own address.</p>
      <Problem words={error && sayError(error)} />
      {data && ids.size === 0 && <p className="empty">None of your latest tasks belongs to a batch.</p>}
      {[...ids].slice(0, MOST_FOLLOWED).map((id) => (
        <section key={id} aria-label={`Batch ${id}`}>
          <h2>
            <Link href={`/batches/${id}`}>{id}</Link>
          </h2>
          <RollUp id={id} />
        </section>
      ))}
    </>
  );
}
