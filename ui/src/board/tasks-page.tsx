/** The board itself: the fleet at a glance, whose tiles filter the live list below. */
import { useQuery } from "urql";
import { useSearchParams } from "wouter";
import { Problem } from "./attempt";
import { BulkActions } from "./bulk";
import { Kinds, STATUSES, type TaskFilter } from "./documents";
import { FleetGlance } from "./fleet";
import { useLiveTasks } from "./live-tasks";
import { TaskRows } from "./task-rows";
import { useTitle } from "./title";

const NONE = {};

function filterOf(params: URLSearchParams): TaskFilter {
  const kinds = params.getAll("kind");
  const statuses = STATUSES.filter((status) => params.getAll("status").includes(status));
  return { ...(kinds.length > 0 && { kinds }), ...(statuses.length > 0 && { statuses }) };
}

export function TasksPage() {
  useTitle("Tasks");
  const [params, setParams] = useSearchParams();
  const filter = filterOf(params);
  const live = useLiveTasks(filter);
  const write = ({ kinds = [], statuses = [] }: TaskFilter): void => {
    const pairs = [...kinds.map((kind) => ["kind", kind]), ...statuses.map((status) => ["status", status])];
    setParams(new URLSearchParams(pairs), { replace: true });
  };
  return (
    <>
      <h1>Tasks</h1>
      <FleetGlance chosen={filter.statuses ?? []} choose={(statuses) => write({ ...filter, statuses })} />
      <div className="toolbar">
        <KindFilter chosen={filter.kinds?.[0] ?? ""} choose={(kind) => write({ ...filter, kinds: kind ? [kind] : [] })} />
        {(filter.kinds || filter.statuses) && (
          <button type="button" onClick={() => write({})}>
            Show all
          </button>
        )}
        <BulkActions filter={filter} />
        <span className="count" aria-live="off">
          {live.tasks.length.toLocaleString("en")} shown{live.hasMore && ", more below"}
        </span>
      </div>
      <Problem words={live.error} />
      <TaskRows live={live} label="Tasks, the latest first" />
    </>
  );
}

function KindFilter({ chosen, choose }: { chosen: string; choose: (kind: string) => void }) {
  const [{ data }] = useQuery({ query: Kinds, variables: NONE });
  const names = data?.taskKinds.map(({ name }) => name) ?? [];
  if (chosen && !names.includes(chosen)) names.push(chosen);
  return (
    <label>
      Kind{" "}
      <select value={chosen} onChange={(event) => choose(event.target.value)}>
        <option value="">all</option>
        {names.map((name) => (
          <option key={name}>{name}</option>
        ))}
      </select>
    </label>
  );
}
