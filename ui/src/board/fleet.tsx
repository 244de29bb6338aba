/** The fleet at a glance: how many tasks have which status, what waits, who works, how fast tasks end, how the services are. */
import { useEffect, useRef, useState } from "react";
import { useQuery } from "urql";
import { sayDuration, sayRate } from "./bar";
import { tellServices } from "./connection";
import { type Fleet, hasEnded, LookAtFleet, type Status, STATUSES } from "./documents";

const FLEET_MS = 5_000;
const COUNTED_AT_MOST = 10_000;
const NONE = {};

type Rates = { endedPerS: number; failedPerS: number };

function countEnded(fleet: Fleet): number {
  return STATUSES.filter(hasEnded).reduce((sum, status) => sum + fleet[status].totalCount, 0);
}

/** Return what waits, by priority, and for how long by the server's clock. */
function sayBacklog({ timestamp, backlog }: Fleet["fleet"]): string {
  const waiting = backlog.flatMap(({ priority, tasks, since }) => {
    if (since === null) return [];
    const seconds = Math.max(0, (Date.parse(timestamp) - Date.parse(since)) / 1000);
    return [`${tasks.toLocaleString("en")}${tasks >= COUNTED_AT_MOST ? " or more" : ""} ${priority} (${sayDuration(seconds)})`];
  });
  return waiting.length === 0 ? "Nothing waits." : `Waiting, and for how long: ${waiting.join(", ")}.`;
}

function sayWorkers({ workers }: Fleet["fleet"]): string {
  const tasks = workers.reduce((sum, worker) => sum + worker.tasks, 0);
  if (tasks === 0) return "No worker is busy.";
  return `${workers.length} ${workers.length === 1 ? "worker is" : "workers are"} busy with ${tasks.toLocaleString("en")} ${tasks === 1 ? "task" : "tasks"}.`;
}

/** Return the fleet as it was a few seconds ago at most, and how fast tasks ended and failed since the look before; nothing is asked while nobody looks. */
function useFleet(): { fleet: Fleet | undefined; rates: Rates | null } {
  const [{ data: fleet }, ask] = useQuery({ query: LookAtFleet, variables: NONE });
  const before = useRef<{ ended: number; failed: number; at: number }>(undefined);
  const [rates, setRates] = useState<Rates | null>(null);
  useEffect(() => {
    const timer = setInterval(() => {
      if (document.visibilityState === "visible") ask();
    }, FLEET_MS);
    return () => clearInterval(timer);
  }, [ask]);
  useEffect(() => {
    if (!fleet) return;
    tellServices(fleet.health.services);
    const now = { ended: countEnded(fleet), failed: fleet.FAILED.totalCount, at: performance.now() };
    const then = before.current;
    before.current = now;
    if (!then || now.at <= then.at) return;
    // Ended tasks are removed after some weeks: then a number falls.
    const perS = (more: number): number => Math.max(0, (more / (now.at - then.at)) * 1000);
    setRates({ endedPerS: perS(now.ended - then.ended), failedPerS: perS(now.failed - then.failed) });
  }, [fleet]);
  return { fleet, rates };
}

type Chosen = { chosen: Status[]; choose: (statuses: Status[]) => void };

/** Show how many tasks have which status; a tile turns its status on and off in the filter. */
export function FleetGlance({ chosen, choose }: Chosen) {
  const { fleet, rates } = useFleet();
  const toggle = (status: Status): void =>
    choose(chosen.includes(status) ? chosen.filter((other) => other !== status) : [...chosen, status]);
  return (
    <section aria-label="The fleet at a glance">
      <div className="tiles">
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
      </div>
      <p className="services hint">
        {fleet && <span>{sayBacklog(fleet.fleet)}</span>}
        {fleet && <span>{sayWorkers(fleet.fleet)}</span>}
        {rates && (
          <span>
            {sayRate(rates.endedPerS)} ended, {sayRate(rates.failedPerS)} failed.
          </span>
        )}
        {fleet?.health.services.map(({ name, status, latencyMs }) => (
          <span key={name} className={status === "DOWN" ? "error" : ""}>
            {name} {status === "UP" ? `${(latencyMs ?? 0).toFixed(1)} ms` : "does not answer"}
          </span>
        ))}
      </p>
    </section>
  );
}
