/** How far a task is, how fast, and how long it takes yet. */
import { hasEnded, type Task } from "./documents";

export type Pace = { ratePerS: number; etaS: number | null };

/** Return the pace of the latest attempt by the server's clock alone; null while it can't be told. */
export function paceOf({ status, progress, startedAt, progressAt }: Task): Pace | null {
  if (hasEnded(status) || startedAt === null || progressAt === null || progress.current === 0) return null;
  const seconds = (Date.parse(progressAt) - Date.parse(startedAt)) / 1000;
  if (seconds <= 0) return null;
  const ratePerS = progress.current / seconds;
  return { ratePerS, etaS: progress.total === null ? null : (progress.total - progress.current) / ratePerS };
}

/** Return a duration in two units at most: `45 s`, `3 min 20 s`, `2 h 5 min`. */
export function sayDuration(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

export function sayRate(ratePerS: number): string {
  return `${ratePerS.toLocaleString("en", { maximumSignificantDigits: 3 })}/s`;
}

export function sayTime(moment: string): string {
  return new Date(moment).toLocaleString(undefined, { dateStyle: "short", timeStyle: "medium" });
}

/** Return how far it is in words: percent, or what is done where the whole is unknown. */
export function sayProgress({ status, progress }: Task): string {
  if (progress.percent !== null) return `${Math.floor(progress.percent)} %`;
  return progress.current > 0 || !hasEnded(status) ? progress.current.toLocaleString("en") : "";
}

export function Bar({ task }: { task: Task }) {
  const { progress, status } = task;
  const isUnknown = progress.total === null && status === "RUNNING";
  return (
    <progress
      className={`bar status-${status.toLowerCase()}`}
      aria-label={`Progress of ${task.kind}`}
      max={100}
      {...(isUnknown ? {} : { value: progress.percent ?? (status === "SUCCEEDED" ? 100 : 0) })}
    />
  );
}

export function StatusWord({ status }: { status: Task["status"] }) {
  return <span className={`status status-${status.toLowerCase()}`}>{status}</span>;
}
