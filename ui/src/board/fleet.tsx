/** The fleet at a glance: how many tasks have which status, what waits longest, how fast tasks end, how the services are. */
import { useEffect, useRef, useState } from "react";
import { useQuery } from "urql";
import { sayRate, sayTime } from "./bar";
import { tellServices } from "./connection";
import { type Fleet, hasEnded, LookAtFleet, type Status, STATUSES } from "./documents";

const FLEET_MS = 5_000;
const NONE = {};

function countEnded(fleet: Fleet): number {
  return STATUSES.filter(hasEnded).reduce((sum, status) => sum + fleet[status].totalCount, 0);
}

/** Return the fleet as it was a few seconds ago at most, and how fast tasks ended since the look before; nothing is asked while nobody looks. */
function useFleet(): { fleet: Fleet | undefined; endedPerS: number | null } {
  const [{ data: fleet }, ask] = useQuery({ query: LookAtFleet, variables: NONE });
  const before = useRef<{ ended: number; at: number }>(undefined);
  const [endedPerS, setEndedPerS] = useState<number | null>(null);
  useEffect(() => {
    const timer = setInterval(() => {
      if (document.visibilityState === "visible") ask();
    }, FLEET_MS);
    return () => clearInterval(timer);
  }, [ask]);
  useEffect(() => {
    if (!fleet) return;
    tellServices(fleet.health.services);
    const now = { ended: countEnded(fleet), at: performance.now() };
    const then = before.current;
    before.current = now;
    // Ended tasks are removed after some weeks: then the number falls.
    if (then && now.at > then.at) setEndedPerS(Math.max(0, ((now.ended - then.ended) / (now.at - then.at)) * 1000));
  }, [fleet]);
  return { fleet, endedPerS };
}

type Chosen = { chosen: Status[]; choose: (statuses: Status[]) => void };

/** Show how many tasks have which status; a tile turns its status on and off in the filter. */
export function FleetGlance({ chosen, choose }: Chosen) {
  const { fleet, endedPerS } = useFleet();
  const toggle = (status: Status): void =>
    choose(chosen.includes(status) ? chosen.filter((other) => other !== status) : [...chosen, status]);
  const [oldest] = fleet?.waiting.nodes ?? [];
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
        {oldest && <span>The oldest that waits was submitted {sayTime(oldest.createdAt)}.</span>}
        {endedPerS !== null && <span>{sayRate(endedPerS)} ended.</span>}
        {fleet?.health.services.map(({ name, status, latencyMs }) => (
          <span key={name} className={status === "DOWN" ? "error" : ""}>
            {name} {status === "UP" ? `${(latencyMs ?? 0).toFixed(1)} ms` : "does not answer"}
          </span>
        ))}
      </p>
    </section>
  );
}
