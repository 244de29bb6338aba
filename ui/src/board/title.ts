/** The window's title, which a screen reader says first. */
import { useEffect } from "react";

export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `Headway · ${title}`;
  }, [title]);
}
