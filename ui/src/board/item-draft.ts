/** An item as a form has it, as texts, and what of it is to be sent. */
import type { Item, ItemInput, Metadata } from "./items";

export type ItemDraft = { name: string; description: string; metadata: string };
const SPACES = 2;

/** Return what the form shows at first: an item's values, or what a new one begins with. */
export function draftOf(item: Item | null): ItemDraft {
  return {
    name: item?.name ?? "",
    description: item?.description ?? "",
    metadata: JSON.stringify(item?.metadata ?? {}, null, SPACES),
  };
}

/**
 * Return a new item's values; of an item that is there, those that differ: what others changed meanwhile stays.
 * Throws an Error where the metadata is no JSON, or holds what a browser can't hold. All else is for the server to judge.
 */
export function readDraft(draft: ItemDraft, item: Item | null): Partial<ItemInput> {
  const before = item && draftOf(item);
  return {
    ...(draft.name !== before?.name && { name: draft.name }),
    ...(draft.description !== before?.description && { description: draft.description || null }),
    ...(draft.metadata !== before?.metadata && { metadata: readMetadata(draft.metadata) }),
  };
}

function readMetadata(text: string): Metadata {
  const value = parse(text);
  if (holdsInexact(value)) {
    throw new Error("Metadata: expected no whole number beyond 9,007,199,254,740,991: a browser would change it. Use the API.");
  }
  return value as Metadata;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Error(`Metadata: ${(cause as Error).message}`, { cause });
  }
}

function holdsInexact(value: unknown): boolean {
  if (typeof value === "number") return Number.isInteger(value) && !Number.isSafeInteger(value);
  return typeof value === "object" && value !== null && Object.values(value).some(holdsInexact);
}
