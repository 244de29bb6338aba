/** The board itself: the fleet at a glance, whose tiles filter the live list below. */
import { useEffect } from "react";
import { useQuery } from "urql";
import { useSearchParams } from "wouter";
import { tellServices } from "./connection";
import { type Fleet, Kinds, LookAtFleet, type Status, STATUSES, type TaskFilter } from "./documents";
import { useLiveTasks } from "./live-tasks";
import { TaskRows } from "./task-rows";
import { useTitle } from "./title";

const FLEET_MS = 5_000;
const NONE = {};

/** Return the fleet as it was a few seconds ago at most; nothing is asked while nobody looks. */
function useFleet(): Fleet | undefined {
  const [{ data }, ask] = useQuery({ query: LookAtFleet, variables: NONE });
  useEffect(() => {
    const timer = setInterval(() => {
      if (document.visibilityState === "visible") ask();
    }, FLEET_MS);
    return () => clearInterval(timer);
  }, [ask]);
  useEffect(() => {
    if (data) tellServices(data.health.services);
  }, [data]);
  return data;
}

function filterOf(params: URLSearchParams): TaskFilter {
  const kinds = params.getAll("kind");
  const statuses = STATUSES.filter((status) => params.getAll("status").includes(status));
  return { ...(kinds.length > 0 && { kinds }), ...(statuses.length > 0 && { statuses }) };
}

export function TasksPage() {
  useTitle("Tasks");
  const [params, setParams] = useSearchParams();
  const filter = filterOf(params);
  const fleet = useFleet();
  const live = useLiveTasks(filter);
  const write = ({ kinds = [], statuses = [] }: TaskFilter): void => {
    const pairs = [...kinds.map((kind) => ["kind", kind]), ...statuses.map((status) => ["status", status])];
    setParams(new URLSearchParams(pairs), { replace: true });
  };
  return (
    <>
      <h1>Tasks</h1>
      <Tiles fleet={fleet} chosen={filter.statuses ?? []} choose={(statuses) => write({ ...filter, statuses })} />
      <div className="toolbar">
        <KindFilter chosen={filter.kinds?.[0] ?? ""} choose={(kind) => write({ ...filter, kinds: kind ? [kind] : [] })} />
        {(filter.kinds || filter.statuses) && (
          <button type="button" onClick={() => write({})}>
            Show all
          </button>
        )}
        <span className="count" aria-live="off">
          {live.tasks.length.toLocaleString("en")} shown{live.hasMore && ", more below"}
        </span>
      </div>
      {live.error && (
        <p role="alert" className="error">
          {live.error}
        </p>
      )}
      <TaskRows live={live} label="Tasks, the latest first" />
    </>
  );
}

type TilesProps = { fleet: Fleet | undefined; chosen: Status[]; choose: (statuses: Status[]) => void };

function Tiles({ fleet, chosen, choose }: TilesProps) {
  const toggle = (status: Status): void =>
    choose(chosen.includes(status) ? chosen.filter((other) => other !== status) : [...chosen, status]);
  return (
    <section aria-label="How many tasks have which status" className="tiles">
      {STATUSES.map((status) => (
        <button
          type="button"
          key={status}
          className={`tile status-${status.toLowerCase()}`}
          aria-pressed={chosen.includes(status)}
          onClick={() => toggle(status)}
        >
          <span className="tile-count">{fleet?.[status].totalCount.toLocaleString("en") ?? "–"}</span>
          <span className="tile-label">{status}</span>
        </button>
      ))}
    </section>
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
