/** Files that are dropped anywhere on the page. */
import { useEffect, useRef, useState } from "react";

function isOfFiles(event: DragEvent): boolean {
  return event.dataTransfer?.types.includes("Files") ?? false;
}

/** Call back with the files of each drop; say whether files are held over the page. A page under a dialog takes none. */
export function useFileDrop(take: (files: File[]) => void): boolean {
  const [isOver, setOver] = useState(false);
  const latest = useRef(take);
  useEffect(() => {
    latest.current = take;
  });
  useEffect(() => {
    const listening = new AbortController();
    const { signal } = listening;
    // Entering an element inside tells of leaving the one outside: only leaving the window has no such other.
    const hover = (event: DragEvent): void => {
      if (!isOfFiles(event)) return;
      event.preventDefault();
      setOver(true);
    };
    const leave = (event: DragEvent): void => {
      if (event.relatedTarget === null) setOver(false);
    };
    const drop = (event: DragEvent): void => {
      setOver(false);
      if (!isOfFiles(event)) return;
      // The browser would leave the page and show the file.
      event.preventDefault();
      if (!document.querySelector("dialog[open]")) latest.current([...(event.dataTransfer?.files ?? [])]);
    };
    window.addEventListener("dragenter", hover, { signal });
    window.addEventListener("dragover", hover, { signal });
    window.addEventListener("dragleave", leave, { signal });
    window.addEventListener("drop", drop, { signal });
    return () => listening.abort();
  }, []);
  return isOver;
}
