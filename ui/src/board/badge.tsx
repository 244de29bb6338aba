/** The badge that says how live the page is; and, where the gateway wants to know who asks, the way in. */
import { type FormEvent, useEffect, useState } from "react";
import { ask, credential, signIn } from "./client";
import { type Connection, tellServices, useConnection } from "./connection";
import { AskHealth } from "./documents";

const AGAIN_MS = 3_000;

type Saying = { word: string; why: string };

function say({ link, delivery, down }: Connection): Saying {
  if (link === "REFUSED") return { word: "SIGNED OUT", why: "The gateway asks for an API key or a token." };
  if (link === "CONNECTING") return { word: "CONNECTING", why: "Opening the connection to the gateway." };
  if (link === "RECONNECTING") {
    return { word: "RECONNECTING", why: "The connection is lost. What happens meanwhile is shown when it is back." };
  }
  if (down.length > 0) {
    return { word: "DEGRADED", why: `${down.join(" and ")} does not answer. Progress comes once a second; nothing is lost.` };
  }
  if (delivery === "DEGRADED") {
    return { word: "DEGRADED", why: "Progress comes once a second from the database; nothing is lost." };
  }
  return { word: "LIVE", why: "Everything is told at once." };
}

export function Badge() {
  const connection = useConnection();
  const { word, why } = say(connection);
  const isDegraded = word === "DEGRADED";
  // A view on which nothing moves hears of nothing that arrives live again.
  useEffect(() => {
    if (!isDegraded) return undefined;
    const tell = (): void =>
      void ask(AskHealth, {}).then(
        ({ health }) => tellServices(health.services),
        () => undefined,
      );
    const timer = setInterval(tell, AGAIN_MS);
    return () => clearInterval(timer);
  }, [isDegraded]);
  return (
    <>
      <output className={`badge badge-${word.toLowerCase().replace(" ", "-")}`} title={why} aria-live="polite">
        {word}
      </output>
      {connection.link === "REFUSED" && <SignIn />}
    </>
  );
}

function SignIn() {
  const [token, setToken] = useState(credential());
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    signIn(token.trim());
  };
  return (
    <form className="sign-in" onSubmit={submit}>
      <label>
        API key or token <input type="password" autoComplete="off" value={token} onChange={(e) => setToken(e.target.value)} />
      </label>
      <button type="submit">Sign in</button>
    </form>
  );
}
