/** What a page keeps in its address behind the question mark. */
import { useEffect, useState } from "react";
import { useLocation, useSearch } from "wouter";

const SETTLE_MS = 300;

export type Change = (params: URLSearchParams) => void;
export type Address = {
  /** As it stands, with what was typed just now. */
  draft: URLSearchParams;
  /** As it was when nothing had changed for a moment: nobody waits for the answer to each letter. */
  settled: URLSearchParams;
  write: (change: Change) => void;
};

export function useAddress(): Address {
  const [place, navigate] = useLocation();
  const search = useQuery();
  const [draft, setDraft] = useState(search);
  const [known, setKnown] = useState(search);
  // A link or the way back leads to another address: it overrules what was typed.
  if (search !== known) {
    setKnown(search);
    setDraft(search);
  }
  useEffect(() => {
    if (draft === search) return undefined;
    const timer = setTimeout(() => navigate(`${place}${draft}`, { replace: true }), SETTLE_MS);
    return () => clearTimeout(timer);
  }, [draft, search, place, navigate]);
  const write = (change: Change): void =>
    setDraft((before) => {
      const params = new URLSearchParams(before);
      change(params);
      return params.size > 0 ? `?${params}` : "";
    });
  return { draft: new URLSearchParams(draft), settled: new URLSearchParams(search), write };
}

/** Return what is behind the path, with its question mark: the router would decode a percent sign that was typed. */
export function useQuery(): string {
  useSearch();
  return location.search;
}
