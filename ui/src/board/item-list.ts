/** The items that match, page by page, and what the page itself has changed of them. */
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { ask, sayError } from "./client";
import { type Item, type ItemFilter, type ItemOrder, ListItems } from "./items";

const MAX_ITEMS = 5_000;

type Listed = { items: Item[]; total: number | null; after: string | null; isLoading: boolean; error: string | null };
export type ItemList = {
  items: Item[];
  /** How many match in all; null while it is not known. */
  total: number | null;
  hasMore: boolean;
  isLoading: boolean;
  error: string | null;
  loadMore: () => void;
  /** List anew from the start. */
  reload: () => void;
  /** Show an item as it is now, without asking. */
  replace: (item: Item) => void;
  remove: (id: string) => void;
};

const EMPTY: Listed = { items: [], total: null, after: null, isLoading: true, error: null };

/** List the items that match; the filter's contents decide, not its identity. */
export function useItems(filter: ItemFilter, order: ItemOrder): ItemList {
  const key = JSON.stringify(filter);
  const [listed, setListed] = useState<Listed>(EMPTY);
  const listing = useRef(0);
  const load = useCallback(
    async (after: string | null): Promise<void> => {
      const mine = ++listing.current;
      const isFirst = after === null;
      setListed((before) => ({ ...before, isLoading: true }));
      try {
        const { items } = await ask(ListItems, { filter: JSON.parse(key) as ItemFilter, order, after, count: isFirst });
        if (mine !== listing.current) return;
        const { nodes, pageInfo, totalCount } = items;
        setListed((before) => ({
          items: isFirst ? nodes : withPage(before.items, nodes),
          total: totalCount ?? before.total,
          after: pageInfo.hasNextPage ? pageInfo.endCursor : null,
          isLoading: false,
          error: null,
        }));
      } catch (cause) {
        if (mine === listing.current) setListed((before) => ({ ...before, after: null, isLoading: false, error: sayError(cause) }));
      }
    },
    [key, order],
  );
  // oxlint-disable-next-line react/set-state-in-effect -- it says that it asks; what it sets else comes later.
  useEffect(() => void load(null), [load]);
  const { items, total, after, isLoading, error } = listed;
  const hasMore = after !== null && items.length < MAX_ITEMS;
  const loadMore = useCallback(() => {
    if (after !== null) void load(after);
  }, [after, load]);
  const changes = useMemo(
    () => ({
      reload: () => void load(null),
      replace: (item: Item) =>
        setListed((before) => ({ ...before, items: before.items.map((one) => (one.id === item.id ? item : one)) })),
      remove: (id: string) =>
        setListed((before) => ({
          ...before,
          items: before.items.filter((one) => one.id !== id),
          total: before.total === null ? null : before.total - 1,
        })),
    }),
    [load],
  );
  return { items, total, hasMore, isLoading, error, loadMore, ...changes };
}

/** An item that moved in the order meanwhile may come twice: it is shown once, where it came first. */
function withPage(before: Item[], page: Item[]): Item[] {
  const known = new Set(before.map(({ id }) => id));
  return [...before, ...page.filter(({ id }) => !known.has(id))];
}
