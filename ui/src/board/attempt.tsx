/** What a person asks for and what may go wrong with it: whether it is under way, and the problem in words. */
import { useCallback, useState } from "react";
import { sayError } from "./client";

type Attempt = {
  isBusy: boolean;
  error: string | null;
  fail: (cause: unknown) => void;
  attempt: (act: () => Promise<void>) => Promise<void>;
};

/** Return how the latest attempt stands, and how to begin one; `fail` tells of a problem that came another way. */
export function useAttempt(): Attempt {
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const fail = useCallback((cause: unknown): void => setError(sayError(cause)), []);
  const attempt = async (act: () => Promise<void>): Promise<void> => {
    setBusy(true);
    setError(null);
    try {
      await act();
    } catch (cause) {
      fail(cause);
    } finally {
      setBusy(false);
    }
  };
  return { isBusy, error, fail, attempt };
}

/** Show a problem, if there is one, and have it read aloud. */
export function Problem({ words, as: Tag = "p" }: { words: string | null | undefined; as?: "p" | "span" }) {
  if (!words) return null;
  return (
    <Tag role="alert" className="error">
      {words}
    </Tag>
  );
}
