/** One item in a dialog: made, changed, or removed after a confirmation. */
import { type FormEvent, useEffect, useRef, useState } from "react";
import { Problem, useAttempt } from "./attempt";
import { sayTime } from "./bar";
import { ask, change } from "./client";
import { CreateItem, DeleteItem, type Item, type ItemInput, OneItem, UpdateItem } from "./items";
import { draftOf, type ItemDraft, readDraft } from "./item-draft";

export type Outcome = { deed: "made" | "changed" | "removed"; item: Item };
type DialogProps = { id: string | null; done: (outcome: Outcome) => void; close: () => void };

/** Show the item with this id, or a form for a new one; `close` is called whenever the dialog goes, `done` before it. */
export function ItemDialog({ id, done, close }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [item, setItem] = useState<Item | null>(null);
  const [isDirty, setDirty] = useState(false);
  const [isWarned, setWarned] = useState(false);
  const [isAsked, setAsked] = useState(false);
  const { isBusy, error, fail, attempt } = useAttempt();
  useEffect(() => dialog.current?.showModal(), []);
  useEffect(() => {
    if (id === null) return;
    ask(OneItem, { id }).then((data) => setItem(data.item), fail);
  }, [id, fail]);
  const finish = (act: () => Promise<Outcome>): void =>
    void attempt(async () => {
      done(await act());
      dialog.current?.close();
    });
  const save = async (input: Partial<ItemInput>): Promise<Outcome> => {
    if (item) return { deed: "changed", item: (await change(UpdateItem, { id: item.id, input })).updateItem };
    return { deed: "made", item: (await change(CreateItem, { input: input as ItemInput })).createItem };
  };
  const remove = async (gone: Item): Promise<Outcome> => {
    await change(DeleteItem, { id: gone.id });
    return { deed: "removed", item: gone };
  };
  const keepChanges = (event: { preventDefault: () => void }): void => {
    if (!isDirty || isWarned) return;
    event.preventDefault();
    setWarned(true);
  };
  const dismiss = (): void => dialog.current?.close();
  return (
    <dialog ref={dialog} className="item-dialog" onCancel={keepChanges} onClose={close} aria-labelledby="item-title">
      <h2 id="item-title">{isAsked ? `Remove “${item?.name}”?` : id === null ? "New item" : "Item"}</h2>
      <Problem words={error} />
      {isWarned && isDirty && <p role="alert">Your changes are not saved. Save them, or press Escape again to give them up.</p>}
      {item && isAsked && (
        <Question isBusy={isBusy} yes={() => finish(() => remove(item))} no={() => setAsked(false)} />
      )}
      {(item || id === null) && (
        <div hidden={isAsked}>
          <ItemForm
            item={item}
            isBusy={isBusy}
            isDirty={isDirty}
            tellDirty={setDirty}
            save={(draft) => finish(async () => save(readDraft(draft, item)))}
            askToRemove={() => setAsked(true)}
            dismiss={dismiss}
          />
        </div>
      )}
      {!item && id !== null && (
        <div className="toolbar">
          <button type="button" onClick={dismiss}>
            Close
          </button>
        </div>
      )}
    </dialog>
  );
}

function Question({ isBusy, yes, no }: { isBusy: boolean; yes: () => void; no: () => void }) {
  const keep = useRef<HTMLButtonElement>(null);
  useEffect(() => keep.current?.focus(), []);
  return (
    <>
      <p>This can’t be undone.</p>
      <div className="toolbar">
        <button type="button" className="danger" disabled={isBusy} onClick={yes}>
          Remove it
        </button>
        <button type="button" ref={keep} onClick={no}>
          Keep it
        </button>
      </div>
    </>
  );
}

type FormProps = {
  item: Item | null;
  isBusy: boolean;
  isDirty: boolean;
  tellDirty: (isDirty: boolean) => void;
  save: (draft: ItemDraft) => void;
  askToRemove: () => void;
  dismiss: () => void;
};

function ItemForm({ item, isBusy, isDirty, tellDirty, save, askToRemove, dismiss }: FormProps) {
  const [start] = useState(() => draftOf(item));
  const [draft, setDraft] = useState(start);
  const first = useRef<HTMLInputElement>(null);
  useEffect(() => first.current?.focus(), []);
  const answer = (name: keyof ItemDraft) => ({
    id: `item-${name}`,
    value: draft[name],
    onChange: ({ target }: { target: { value: string } }): void => {
      const changed = { ...draft, [name]: target.value };
      setDraft(changed);
      tellDirty(JSON.stringify(changed) !== JSON.stringify(start));
    },
  });
  const onSubmit = (event: FormEvent): void => {
    event.preventDefault();
    save(draft);
  };
  return (
    <form className="form" onSubmit={onSubmit}>
      <div className="field">
        <label htmlFor="item-name">Name</label>
        <input type="text" required ref={first} {...answer("name")} />
      </div>
      <div className="field">
        <label htmlFor="item-description">Description</label>
        <textarea rows={3} {...answer("description")} />
      </div>
      <div className="field">
        <label htmlFor="item-metadata">Metadata</label>
        <textarea rows={7} spellCheck={false} className="code" aria-describedby="item-hint" {...answer("metadata")} />
        <p className="hint" id="item-hint">
          A JSON object: anything else that is known of the item.
        </p>
      </div>
      {item && (
        <p className="hint">
          Made <time dateTime={item.createdAt}>{sayTime(item.createdAt)}</time>, changed{" "}
          <time dateTime={item.updatedAt}>{sayTime(item.updatedAt)}</time>. <code className="full-id">{item.id}</code>
        </p>
      )}
      <div className="toolbar">
        <button type="submit" className="primary" disabled={isBusy || !isDirty}>
          Save
        </button>
        <button type="button" onClick={dismiss}>
          {isDirty ? "Give up the changes" : "Close"}
        </button>
        {item && (
          <span className="actions">
            <button type="button" className="danger" onClick={askToRemove}>
              Remove…
            </button>
          </span>
        )}
      </div>
    </form>
  );
}
