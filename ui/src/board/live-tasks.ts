/** The tasks that match a filter, kept current: list and subscription merged as the API prescribes, told at a calm pace. */
import { useEffect, useMemo, useSyncExternalStore } from "react";
import { ask, follow, onReopen, sayError } from "./client";
import { ListTasks, type Task, type TaskFilter, TasksChanged } from "./documents";

const FLUSH_MS = 100;
const MAX_TASKS = 5_000;
const MAX_REMOVED = 5_000;

export type Tasks = { tasks: Task[]; hasMore: boolean; isLoading: boolean; error: string | null };
export type LiveTasks = Tasks & { loadMore: () => void };

/** Compare cursors, `epoch-n`, as two numbers: positive when `left` is newer. */
export function compareCursors(left: string, right: string): number {
  const [leftEpoch = 0, leftN = 0] = left.split("-").map(Number);
  const [rightEpoch = 0, rightN = 0] = right.split("-").map(Number);
  return leftEpoch - rightEpoch || leftN - rightN;
}

class Store {
  private readonly known = new Map<string, Task>();
  /** Tasks that left the filter, with the cursor at which they did: an older answer must not bring them back. */
  private readonly removed = new Map<string, string>();
  /** Tasks that no answer has told of since the connection came back. */
  private unconfirmed = new Set<string>();
  private readonly listeners = new Set<() => void>();
  private snapshot: Tasks = { tasks: [], hasMore: false, isLoading: true, error: null };
  private order: string[] | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private after: string | null = null;
  private listing = 0;

  constructor(private readonly filter: TaskFilter) {}

  start(): () => void {
    const fail = (error: unknown): void => this.tell({ error: sayError(error) });
    const next = ({ tasksChanged }: { tasksChanged: Task }): void => this.merge(tasksChanged);
    const listAgain = (): void => void this.listAgain();
    const stopFollowing = follow(TasksChanged, { filter: this.filter }, next, fail, listAgain);
    const stopListening = onReopen(listAgain);
    void this.list(null);
    return () => {
      this.listing += 1;
      stopFollowing();
      stopListening();
      clearTimeout(this.timer);
      this.timer = undefined;
    };
  }

  readonly listen = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly read = (): Tasks => this.snapshot;

  readonly loadMore = (): void => {
    if (!this.snapshot.isLoading && this.snapshot.hasMore) void this.list(this.after);
  };

  /** After a break, list as far as before, then drop what nobody tells of any more. */
  private async listAgain(): Promise<void> {
    this.unconfirmed = new Set(this.known.keys());
    const oldest = this.after === null ? "" : (this.sorted().at(-1) ?? "");
    // oxlint-disable no-await-in-loop -- each page says where the next begins.
    let last = await this.list(null);
    while (last !== null && last > oldest && this.snapshot.hasMore) last = await this.list(this.after);
    // oxlint-enable no-await-in-loop
    if (last === null) return;
    for (const id of this.unconfirmed) if (!this.snapshot.hasMore || id >= last) this.remove(id);
    this.unconfirmed.clear();
    this.schedule();
  }

  /** Take in one page; return the last id on it, or null when another listing took its place or it failed. */
  private async list(after: string | null): Promise<string | null> {
    const listing = ++this.listing;
    this.tell({ isLoading: true });
    try {
      const { tasks } = await ask(ListTasks, { filter: this.filter, after });
      if (listing !== this.listing) return null;
      for (const task of tasks.nodes) this.merge(task);
      this.after = tasks.pageInfo.endCursor;
      const hasMore = tasks.pageInfo.hasNextPage && this.known.size < MAX_TASKS;
      this.flush({ hasMore, isLoading: false, error: null });
      return tasks.nodes.at(-1)?.id ?? "";
    } catch (error) {
      if (listing === this.listing) this.tell({ isLoading: false, error: sayError(error) });
      return null;
    }
  }

  private merge(task: Task): void {
    this.unconfirmed.delete(task.id);
    const before = this.known.get(task.id)?.cursor ?? this.removed.get(task.id);
    if (before !== undefined && compareCursors(before, task.cursor) > 0) return;
    if (this.filter.statuses && !this.filter.statuses.includes(task.status)) {
      this.removed.set(task.id, task.cursor);
      if (this.removed.size > MAX_REMOVED) this.removed.delete(this.removed.keys().next().value as string);
      this.remove(task.id);
    } else {
      if (!this.known.has(task.id)) this.order = null;
      this.known.set(task.id, task);
    }
    this.schedule();
  }

  private remove(id: string): void {
    if (this.known.delete(id)) this.order = null;
  }

  /** Return the ids, the latest submitted first: they are made to sort by time. */
  private sorted(): string[] {
    if (this.order) return this.order;
    this.order = [...this.known.keys()].toSorted().toReversed();
    for (const id of this.order.splice(MAX_TASKS)) this.known.delete(id);
    return this.order;
  }

  private schedule(): void {
    this.timer ??= setTimeout(() => this.flush({}), FLUSH_MS);
  }

  private flush(changes: Partial<Tasks>): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.tell({ ...changes, tasks: this.sorted().map((id) => this.known.get(id) as Task) });
  }

  private tell(changes: Partial<Tasks>): void {
    this.snapshot = { ...this.snapshot, ...changes };
    for (const listener of this.listeners) listener();
  }
}

/** Follow the tasks that match; the filter's contents decide, not its identity. */
export function useLiveTasks(filter: TaskFilter): LiveTasks {
  const key = JSON.stringify(filter);
  const store = useMemo(() => new Store(JSON.parse(key) as TaskFilter), [key]);
  useEffect(() => store.start(), [store]);
  const tasks = useSyncExternalStore(store.listen, store.read);
  return { ...tasks, loadMore: store.loadMore };
}
