/** Sends operations to the gateway that served this page. Whatever fails comes back as a GraphQL result with a readable message. */
import type { Fetcher, FetcherParams } from "@graphiql/toolkit";
import { type ExecutionResult, getOperationAST, GraphQLError, type OperationDefinitionNode, parse } from "graphql";
import { type Client, createClient, type SubscribePayload } from "graphql-ws";

type HeaderFields = Record<string, string>;

const RETRIES = 8;
const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 5_000;
const PING_MS = 15_000;
const QUOTED_CHARACTERS = 300;

/** Return what GraphiQL runs its operations with: HTTP POST, and graphql-transport-ws for subscriptions. */
export function createFetcher(path: string, onMutation: (result: ExecutionResult) => void): Fetcher {
  const url = new URL(path, location.href);
  let connectionParams: HeaderFields = {};
  const socket = connect(url, () => connectionParams);

  return async (params, options) => {
    const headers: HeaderFields = options?.headers ?? {};
    const operation = operationOf(params);
    const request = { ...params, operationName: operation?.name?.value ?? null };
    if (operation?.operation === "subscription") {
      // What the headers tab holds travels in the connection's init message: a browser's WebSocket sends no headers.
      connectionParams = headers;
      return follow(socket, request);
    }
    const result = await post(url, request, headers);
    if (operation?.operation === "mutation") onMutation(result);
    return result;
  };
}

/**
 * Return the operation to run, or nothing when the document is broken: then the gateway says what is wrong.
 *
 * GraphiQL learns the name of what stands in the editor a moment late, so a stale name gives way to the only operation.
 */
function operationOf({ query, operationName }: FetcherParams): OperationDefinitionNode | undefined {
  try {
    const document = parse(query);
    return getOperationAST(document, operationName) ?? getOperationAST(document) ?? undefined;
  } catch {
    return undefined;
  }
}

async function post(url: URL, request: FetcherParams, headers: HeaderFields): Promise<ExecutionResult> {
  let response: Response;
  try {
    response = await fetch(url, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        accept: "application/graphql-response+json, application/json;q=0.9",
        ...headers,
      },
      body: JSON.stringify(request),
    });
  } catch (cause) {
    return failure(`No answer from ${url.href} (${messageOf(cause)}). Is Headway running?`);
  }
  const text = await response.text();
  try {
    return JSON.parse(text) as ExecutionResult;
  } catch {
    const status = `${response.status} ${response.statusText}`.trim();
    return failure(`${url.href} answered ${status} without JSON: ${text.slice(0, QUOTED_CHARACTERS)}`);
  }
}

/** Make the client. It connects at the first subscription, pings, reconnects, and closes after the last one. */
function connect(url: URL, connectionParams: () => HeaderFields): Client {
  return createClient({
    url: url.href.replace(/^http/, "ws"),
    connectionParams,
    keepAlive: PING_MS,
    retryAttempts: RETRIES,
    // A refused connection comes as a plain event, a lost one as a close event. Fatal codes never get here.
    shouldRetry: (cause) => cause instanceof Event,
    retryWait: async (retries) => {
      const longest = Math.min(FIRST_RETRY_MS * 2 ** retries, LONGEST_RETRY_MS);
      await new Promise((resolve) => setTimeout(resolve, longest * (0.5 + Math.random() / 2)));
    },
  });
}

function follow(socket: Client, request: SubscribePayload): AsyncIterableIterator<ExecutionResult> {
  const events = socket.iterate(request);
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    next: async () => {
      try {
        return (await events.next()) as IteratorResult<ExecutionResult>;
      } catch (cause) {
        return { done: false, value: describe(cause) };
      }
    },
    return: async () => {
      await events.return?.();
      return { done: true, value: undefined };
    },
  };
}

/** Turn what ended a subscription into a result: the gateway's own errors, a closed socket, or anything else. */
function describe(cause: unknown): ExecutionResult {
  if (Array.isArray(cause)) return { errors: cause as GraphQLError[] };
  if (cause instanceof CloseEvent) {
    const reason = cause.reason || "no reason given";
    return failure(`The connection closed with code ${cause.code} (${reason}). Run the operation again to go on.`);
  }
  if (cause instanceof Event) return failure("No connection to the gateway. Is Headway running?");
  return failure(`The subscription failed: ${messageOf(cause)}`);
}

function failure(message: string): ExecutionResult {
  return { errors: [new GraphQLError(message)] };
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
