/** The import and the export that the items' page is at: each has its form first, then a task, which is part of the address. */
import { useState } from "react";
import type { Address } from "./address";
import { sayError } from "./client";
import { useFileDrop } from "./file-drop";
import { type ChosenFile, look } from "./import-file";

/** `id` is the task's that is followed. */
type Transfer = { id: string | null; started: (id: string) => void; close: () => void };

function taskAt(name: "import" | "export", { draft, write }: Address): Transfer {
  return {
    id: draft.get(name),
    started: (id) => write((changed) => changed.set(name, id)),
    close: () => write((changed) => changed.delete(name)),
  };
}

export type Import = Transfer & {
  chosen: ChosenFile | null;
  /** Why no file was chosen. */
  error: string | null;
  /** Whether a file is held over the page. */
  isOver: boolean;
  take: (files: File[]) => Promise<void>;
};

/** Take the file that is dropped anywhere on the page, or given to `take`. */
export function useImport(address: Address): Import {
  const task = taskAt("import", address);
  const [chosen, setChosen] = useState<ChosenFile | null>(null);
  const [error, setError] = useState<string | null>(null);
  const take = async (files: File[]): Promise<void> => {
    setError(null);
    try {
      const [file] = files;
      if (!file || files.length > 1) throw new Error(`Expected one file at a time, got ${files.length}`);
      setChosen(await look(file));
    } catch (cause) {
      setError(sayError(cause));
    }
  };
  const isOver = useFileDrop((files) => void take(files));
  const started = (id: string): void => {
    setChosen(null);
    task.started(id);
  };
  const close = (): void => {
    if (chosen) setChosen(null);
    else task.close();
  };
  return { id: task.id, chosen, error, isOver, take, started, close };
}

export type Export = Transfer & { isOpen: boolean; open: () => void };

export function useExport(address: Address): Export {
  const task = taskAt("export", address);
  const [isAsking, setAsking] = useState(false);
  const started = (id: string): void => {
    setAsking(false);
    task.started(id);
  };
  const close = (): void => {
    setAsking(false);
    task.close();
  };
  const id = isAsking ? null : task.id;
  return { id, isOpen: isAsking || id !== null, open: () => setAsking(true), started, close };
}
