/** Which items are listed and in which order: the conditions are part of the address. */
import { useState } from "react";
import type { Address } from "./address";
import { type ItemFilter, type ItemOrder, ORDERS } from "./items";

const ORDER_NAMES: Record<ItemOrder, string> = {
  NEWEST_FIRST: "newest first",
  OLDEST_FIRST: "oldest first",
  NAME_ASC: "by name",
  NAME_DESC: "by name, from Z",
  UPDATED_DESC: "latest change first",
  UPDATED_ASC: "longest unchanged first",
};
const CONDITIONS = ["name", "match", "path", "value", "from", "to"] as const;
type Condition = (typeof CONDITIONS)[number];

/** Return what to list. A value is read as JSON where it is some; a day begins and ends by this browser's clock. */
export function readConditions(params: URLSearchParams): { filter: ItemFilter; order: ItemOrder } {
  const given = (name: Condition): string => params.get(name) ?? "";
  const createdFrom = midnight(given("from"), 0);
  const createdTo = midnight(given("to"), 1);
  const filter: ItemFilter = {
    ...(given("name") && { [given("match") === "begins" ? "namePrefix" : "nameContains"]: given("name") }),
    ...(given("path") && given("value") && { metadata: [{ path: given("path"), value: readValue(given("value")) }] }),
    ...(createdFrom && { createdFrom }),
    ...(createdTo && { createdTo }),
  };
  return { filter, order: ORDERS.find((order) => order === params.get("order")) ?? "NEWEST_FIRST" };
}

function readValue(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Return the moment at which a day begins, or one some days later; nothing where it is no day. */
function midnight(day: string, later: number): string | undefined {
  const moment = new Date(`${day}T00:00`);
  if (Number.isNaN(moment.getTime())) return undefined;
  moment.setDate(moment.getDate() + later);
  return moment.toISOString();
}

export function ItemFilterForm({ params, write }: { params: URLSearchParams; write: Address["write"] }) {
  const bind = (name: Condition | "order") => ({
    value: params.get(name) ?? "",
    onChange: ({ target }: { target: { value: string } }): void =>
      write((changed) => (target.value ? changed.set(name, target.value) : changed.delete(name))),
  });
  const showAll = (): void => write((changed) => CONDITIONS.forEach((name) => changed.delete(name)));
  // What a reader opened stays open while its conditions come and go.
  const [isOpen] = useState(["path", "value", "from", "to"].some((name) => params.has(name)));
  return (
    <search className="item-filter">
      <div className="toolbar">
        <label htmlFor="filter-name">Name</label>
        <select aria-label="How the name matches" {...bind("match")}>
          <option value="">contains</option>
          <option value="begins">begins with</option>
        </select>
        <input id="filter-name" type="search" {...bind("name")} />
        <label>
          Order{" "}
          <select {...bind("order")}>
            {ORDERS.map((order, index) => (
              <option key={order} value={index === 0 ? "" : order}>
                {ORDER_NAMES[order]}
              </option>
            ))}
          </select>
        </label>
        {CONDITIONS.some((name) => params.has(name)) && (
          <button type="button" onClick={showAll}>
            Show all
          </button>
        )}
      </div>
      <details open={isOpen}>
        <summary>More conditions</summary>
        <div className="toolbar">
          <label>
            Metadata <input placeholder="address.city" {...bind("path")} />
          </label>
          <label>
            is <input placeholder="Oslo, 42 or true" {...bind("value")} />
          </label>
          <label>
            Made from <input type="date" {...bind("from")} />
          </label>
          <label>
            to <input type="date" {...bind("to")} />
          </label>
        </div>
      </details>
    </search>
  );
}
