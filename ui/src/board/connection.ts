/** How this page hears of the tasks now: what the badge says. */
import { useSyncExternalStore } from "react";
import type { Delivery, Service } from "./documents";

export type Link = "CONNECTING" | "OPEN" | "RECONNECTING" | "REFUSED";
export type Connection = { link: Link; delivery: Delivery; down: string[] };

let connection: Connection = { link: "CONNECTING", delivery: "LIVE", down: [] };
const listeners = new Set<() => void>();

function change(changes: Partial<Connection>): void {
  connection = { ...connection, ...changes };
  for (const listener of listeners) listener();
}

export function tellLink(link: Link): void {
  if (link !== connection.link) change({ link });
}

/** Take note of how the latest news arrived. */
export function tellDelivery(delivery: Delivery): void {
  if (delivery !== connection.delivery) change({ delivery });
}

/** Take note of the services: while nothing moves, no news tells that the live stream is back. */
export function tellServices(services: Service[]): void {
  const down = services.filter(({ status }) => status === "DOWN").map(({ name }) => name);
  const delivery = down.length === 0 ? "LIVE" : connection.delivery;
  if (delivery !== connection.delivery || down.join() !== connection.down.join()) change({ down, delivery });
}

function listen(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function useConnection(): Connection {
  return useSyncExternalStore(listen, () => connection);
}
