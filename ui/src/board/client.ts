/** The board's GraphQL client: HTTP POST for what is asked once, graphql-transport-ws for what is followed. */
import { createClient, type SubscribePayload } from "graphql-ws";
import { type AnyVariables, Client, type CombinedError, fetchExchange, subscriptionExchange, type TypedDocumentNode } from "urql";
import { tellDelivery, tellLink } from "./connection";
import type { Delivery } from "./documents";

const ENDPOINT = new URL("/graphql", location.href);
const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 5_000;
const PING_MS = 10_000;
const PONG_WITHIN_MS = 5_000;
/** Any code that graphql-ws does not take for final: the connection is made again. */
const NO_PONG = 4408;
/** The gateway closes with these where it does not know who asks: no retry makes a difference before a sign-in. */
const UNKNOWN_CALLER = new Set([4401, 4403]);
const RESTART_MS = 1_000;
const CREDENTIAL = "headway:credential";

/** Return what the caller signed in with in this tab. */
export function credential(): string {
  return sessionStorage.getItem(CREDENTIAL) ?? "";
}

/** Keep a credential for this tab alone, and begin anew with it. */
export function signIn(token: string): void {
  sessionStorage.setItem(CREDENTIAL, token);
  location.reload();
}

/** Return the header that says who asks: none before a sign-in. */
export function authorization(): Record<string, string> {
  const token = credential();
  return token ? { authorization: `Bearer ${token}` } : {};
}

const reopened = new Set<() => void>();

/** Call back whenever the connection is there again after it was lost; return how to stop that. */
export function onReopen(callback: () => void): () => void {
  reopened.add(callback);
  return () => reopened.delete(callback);
}

let pongTimer: ReturnType<typeof setTimeout> | undefined;
let open: WebSocket | undefined;

const socket = createClient({
  url: ENDPOINT.href.replace(/^http/, "ws"),
  lazy: false,
  keepAlive: PING_MS,
  connectionParams: authorization,
  retryAttempts: Number.POSITIVE_INFINITY,
  shouldRetry: (cause) => !isUnknownCaller(cause),
  retryWait: async (retries) => {
    const longest = Math.min(FIRST_RETRY_MS * 2 ** Math.min(retries, 10), LONGEST_RETRY_MS);
    await new Promise((resolve) => setTimeout(resolve, longest * (0.5 + Math.random() / 2)));
  },
  onNonLazyError: () => tellLink("REFUSED"),
  on: {
    connected: (connected, _payload, wasRetry) => {
      open = connected as WebSocket;
      tellLink("OPEN");
      if (wasRetry) for (const callback of reopened) callback();
    },
    closed: (event) => {
      clearTimeout(pongTimer);
      tellLink(isUnknownCaller(event) ? "REFUSED" : "RECONNECTING");
    },
    ping: (received) => {
      if (!received) pongTimer = setTimeout(() => open?.close(NO_PONG, "No pong"), PONG_WITHIN_MS);
    },
    pong: (received) => {
      if (received) clearTimeout(pongTimer);
    },
  },
});

function isUnknownCaller(event: unknown): boolean {
  return UNKNOWN_CALLER.has((event as CloseEvent).code);
}

type News = { data?: Record<string, { cursor?: string; delivery?: Delivery } | null> | null };

/** Learn from each answer how it arrived; and, for when the connection is made again, where to go on. */
function hear(payload: SubscribePayload, news: News): void {
  const [told] = Object.values(news.data ?? {});
  if (told?.delivery) tellDelivery(told.delivery);
  if (payload.variables && "after" in payload.variables && told?.cursor) payload.variables.after = told.cursor;
}

export const client = new Client({
  url: ENDPOINT.href,
  preferGetMethod: false,
  requestPolicy: "network-only",
  fetchOptions: () => ({ headers: authorization() }),
  exchanges: [
    fetchExchange,
    subscriptionExchange({
      forwardSubscription: (request) => ({
        subscribe: (sink) => {
          // graphql-ws sends this very object again when it subscribes again.
          const payload: SubscribePayload = { query: request.query ?? "", variables: { ...request.variables } };
          const unsubscribe = socket.subscribe(payload, {
            next: (result) => {
              hear(payload, result as News);
              sink.next(result as Parameters<typeof sink.next>[0]);
            },
            error: (cause) => sink.error(cause),
            complete: () => sink.complete(),
          });
          return { unsubscribe };
        },
      }),
    }),
  ],
});

/** Ask once. Throws a CombinedError. */
export async function ask<Data, Variables extends AnyVariables>(
  document: TypedDocumentNode<Data, Variables>,
  variables: Variables,
): Promise<Data> {
  const result = await client.query(document, variables).toPromise();
  if (result.error) throw result.error;
  return result.data as Data;
}

/** Change something, once: over HTTP, because a socket that is lost would send it again. Throws a CombinedError. */
export async function change<Data, Variables extends AnyVariables>(
  document: TypedDocumentNode<Data, Variables>,
  variables: Variables,
): Promise<Data> {
  const result = await client.mutation(document, variables).toPromise();
  if (result.error) throw result.error;
  return result.data as Data;
}

/**
 * Follow until told to stop; return how. What the server refuses is told, and tried again unless it is about the request;
 * `again` is called then, because something may have been missed.
 */
export function follow<Data, Variables extends AnyVariables>(
  document: TypedDocumentNode<Data, Variables>,
  variables: Variables,
  next: (data: Data) => void,
  fail: (error: CombinedError) => void,
  again: () => void = () => undefined,
): () => void {
  let stop = (): void => undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const begin = (): void => {
    stop = client.subscription(document, variables).subscribe(({ data, error }) => {
      if (data) next(data);
      if (!error) return;
      fail(error);
      if (isPassing(error)) timer = setTimeout(beginAgain, pauseAfter(error));
    }).unsubscribe;
  };
  const beginAgain = (): void => {
    begin();
    again();
  };
  begin();
  return () => {
    clearTimeout(timer);
    stop();
  };
}

const PASSING = new Set(["UNAVAILABLE", "FELL_BEHIND", "INTERNAL", "RATE_LIMITED"]);

/** Return in how many milliseconds to ask again: the server says so where a minute's budget is spent. */
function pauseAfter(error: CombinedError): number {
  const seconds = Number(error.graphQLErrors[0]?.extensions["retryAfter"]);
  return seconds > 0 ? seconds * 1_000 : RESTART_MS;
}

function isPassing(error: CombinedError): boolean {
  const [first] = error.graphQLErrors;
  return first === undefined || PASSING.has(String(first.extensions["code"]));
}

/** Return a sentence for people. */
export function sayError(error: unknown): string {
  const graphql = (error as CombinedError).graphQLErrors?.[0];
  if (graphql) return graphql.message;
  if ((error as CombinedError).networkError) return "No answer from the gateway";
  return error instanceof Error ? error.message : String(error);
}
