/** What a subscription by an id tells, as it comes. */
import type { TypedDocumentNode } from "urql";
import { useCallback, useEffect, useState } from "react";
import { follow, sayError } from "./client";

type Followed<Data> = { data: Data | null; error: string | null; fail: (cause: unknown) => void };

/** Follow what has this id; news end a problem, and `fail` tells of one that came another way. */
export function useFollowed<Data>(document: TypedDocumentNode<Data, { id: string }>, id: string): Followed<Data> {
  const [data, setData] = useState<Data | null>(null);
  const [error, setError] = useState<string | null>(null);
  const fail = useCallback((cause: unknown): void => setError(sayError(cause)), []);
  useEffect(() => {
    const take = (told: Data): void => {
      setData(told);
      setError(null);
    };
    return follow(document, { id }, take, fail);
  }, [document, id, fail]);
  return { data, error, fail };
}
