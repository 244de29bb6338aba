/** The items: found, made, changed, removed, imported from a file and exported to one. */
/* oxlint-disable jsx-a11y/prefer-tag-over-role -- rows that stand where they are told are no table to a browser */
import "./items.css";
import { useRef, useState } from "react";
import { Link, useLocation } from "wouter";
import { useAddress, useQuery } from "./address";
import { Problem } from "./attempt";
import { sayTime } from "./bar";
import { ExportPanel } from "./export-panel";
import { ImportPanel } from "./import-panel";
import { ItemDialog, type Outcome } from "./item-dialog";
import { ItemFilterForm, readConditions } from "./item-filter";
import { type ItemList, useItems } from "./item-list";
import type { Item, Metadata } from "./items";
import { useTitle } from "./title";
import { useExport, useImport } from "./transfers";
import { VirtualRows } from "./virtual-rows";

const MAX_SHOWN_CHARS = 300;
const NEW = "new";
const HEADS = ["Name", "Description", "Metadata", "Changed"];
const TAKEN = ".csv,.ndjson,.jsonl,text/csv,application/x-ndjson";

export function ItemsPage({ id }: { id: string | undefined }) {
  useTitle("Items");
  const [, navigate] = useLocation();
  const query = useQuery();
  const address = useAddress();
  const { filter, order } = readConditions(address.settled);
  const list = useItems(filter, order);
  const importing = useImport(address);
  const exporting = useExport(address);
  const [note, setNote] = useState("");
  const error = importing.error ?? list.error;
  const done = ({ deed, item }: Outcome): void => {
    setNote(`“${item.name}” is ${deed}.`);
    if (deed === "made") list.reload();
    else if (deed === "changed") list.replace(item);
    else list.remove(item.id);
  };
  return (
    <>
      <h1>Items</h1>
      <ItemFilterForm params={address.draft} write={address.write} />
      <div className="toolbar">
        <Link className="button" href={`/items/${NEW}${query}`}>
          New item…
        </Link>
        <button type="button" onClick={exporting.open}>
          Export…
        </button>
        <FileButton take={(files) => void importing.take(files)} />
        <span className="hint drop-hint">or drop a CSV or NDJSON file anywhere on this page</span>
        <Count list={list} />
      </div>
      <output className="note">{note}</output>
      <Problem words={error} />
      {(importing.chosen || importing.id) && <ImportPanel importing={importing} ended={list.reload} />}
      {exporting.isOpen && <ExportPanel exporting={exporting} filter={filter} />}
      <ItemRows list={list} />
      {importing.isOver && <div className="drop-here">Drop the file to import it</div>}
      {id !== undefined && (
        <ItemDialog key={id} id={id === NEW ? null : id} done={done} close={() => navigate(`/items${query}`)} />
      )}
    </>
  );
}

function Count({ list }: { list: ItemList }) {
  const { items, total } = list;
  if (total === null) return null;
  return (
    <span className="count" aria-live="polite">
      {total.toLocaleString("en")} {total === 1 ? "item" : "items"}
      {total > items.length && `, ${items.length.toLocaleString("en")} shown`}
    </span>
  );
}

function FileButton({ take }: { take: (files: File[]) => void }) {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <button type="button" onClick={() => input.current?.click()}>
        Import a file…
      </button>
      <input
        type="file"
        hidden
        ref={input}
        accept={TAKEN}
        onChange={({ target }) => {
          take([...(target.files ?? [])]);
          // The same file may be chosen again.
          target.value = "";
        }}
      />
    </>
  );
}

function ItemRows({ list }: { list: ItemList }) {
  const { items, hasMore, isLoading, loadMore } = list;
  const page = { hasMore, isLoading, loadMore };
  return (
    <VirtualRows {...page} entries={items} heads={HEADS} label="Items" empty="No item matches." className="items" Cells={ItemCells} />
  );
}

function ItemCells({ entry: item, isActive }: { entry: Item; isActive: boolean }) {
  const query = useQuery();
  return (
    <>
      <span role="cell" className="cell-name">
        <Link href={`/items/${item.id}${query}`} tabIndex={isActive ? 0 : -1}>
          {item.name}
        </Link>
      </span>
      <span role="cell" className="cell-description">
        {item.description?.slice(0, MAX_SHOWN_CHARS)}
      </span>
      <span role="cell" className="cell-metadata">
        {sayMetadata(item.metadata)}
      </span>
      <span role="cell" className="cell-changed">
        <time dateTime={item.updatedAt}>{sayTime(item.updatedAt)}</time>
      </span>
    </>
  );
}

/** Return the metadata in one line, cut where nobody would read on. */
function sayMetadata(metadata: Metadata): string {
  const say = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));
  const pairs = Object.entries(metadata).map(([name, value]) => `${name}: ${say(value)}`);
  return pairs.join(", ").slice(0, MAX_SHOWN_CHARS);
}
