// The GraphQL clients that people use, each against a live gateway.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, gql } from "@apollo/client/core";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { Client, fetchExchange, subscriptionExchange } from "@urql/core";
import { createClient as createSSEClient } from "graphql-sse";
import { createClient } from "graphql-ws";
import { toAsyncIterable } from "wonka";
import WebSocket from "ws";
import {
  EVENTS, FOLLOW, SUBMIT, UNKNOWN_ID, checkStory, codes, exercise, input, isAfter, openTunnel, url, wsUrl,
} from "./api.mjs";

globalThis.WebSocket ??= WebSocket; // Apollo's link looks at it when an operation fails; Node.js 20 has none.

// graphql-ws rejects with the errors of an operation that never began; other clients hand them over as a result.
async function* withErrors(results) {
  try {
    yield* results;
  } catch (errors) {
    if (!Array.isArray(errors)) throw errors;
    yield { errors };
  }
}

// Turns `{ subscribe({ next, error, complete }) }`, as RxJS and wonka have it, into an async iterable.
async function* iterate(subscribe) {
  const results = [];
  let wake = () => {};
  let isOver = false;
  let failure;
  const push = (change) => { change(); wake(); };
  subscribe({
    next: (result) => push(() => results.push(result)),
    error: (error) => push(() => { failure = error; isOver = true; }),
    complete: () => push(() => { isOver = true; }),
  });
  for (;;) {
    while (results.length) yield results.shift();
    if (failure) throw failure;
    if (isOver) return;
    await new Promise((resolve) => { wake = resolve; });
  }
}

// Follows a task, cuts the connection in the middle, and checks the story as one; what was heard twice counts once.
async function followThroughCut(client, tunnel) {
  const iterations = 400;
  const id = await submit(iterations);
  const told = [];
  let isCut = false;
  for await (const { data } of client.iterate({ query: FOLLOW, variables: { id } })) {
    if (data.taskProgress.cursor !== told.at(-1)?.cursor) told.push(data.taskProgress);
    if (!isCut && data.taskProgress.progress.current > 0) {
      isCut = true;
      tunnel.cut();
    }
  }
  checkStory(told, id, iterations);
}

async function submit(iterations) {
  const answer = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ query: SUBMIT, variables: input(iterations) }),
  });
  return (await answer.json()).data.processData.id;
}

describe("a client", { concurrency: true, timeout: 60_000 }, () => {
  it("graphql-ws", async (t) => {
    const closes = [];
    let closed;
    const hasClosed = new Promise((resolve) => { closed = resolve; });
    const client = createClient({
      url: wsUrl, webSocketImpl: WebSocket, lazy: false, retryAttempts: 0,
      on: { closed: (event) => { closes.push([event.code, event.reason]); closed(); } },
    });
    const run = (query, variables) => withErrors(client.iterate({ query, variables }));

    await t.test("five tasks on one socket", () => Promise.all(Array.from({ length: 5 }, () => exercise(run))));
    await t.test("refusals leave the socket open", async () => {
      for (const [query, variables, code] of [
        [FOLLOW, { id: UNKNOWN_ID }, "NOT_FOUND"],
        [FOLLOW, { id: "nonsense" }, "BAD_USER_INPUT"],
        ["subscription { nothing }", {}, "GRAPHQL_VALIDATION_FAILED"],
        ["query ($first: Int) { items(first: $first) { nodes { id } } }", { first: "many" }, "BAD_USER_INPUT"],
      ]) {
        for await (const { errors } of run(query, variables)) assert.deepEqual(codes(errors), [code]);
      }
      for await (const { data } of run("{ health { status } }")) assert.equal(data.health.status, "HEALTHY");
    });
    await client.dispose();
    await hasClosed;
    assert.deepEqual(closes, [[1000, "Normal Closure"]]);
  });

  it("graphql-ws connects again when its socket is cut", async () => {
    const tunnel = await openTunnel();
    let connected = 0;
    const client = createClient({
      url: `ws://${tunnel.address}/graphql`, webSocketImpl: WebSocket, retryWait: () => Promise.resolve(),
      on: { connected: () => { connected += 1; } },
    });
    await followThroughCut(client, tunnel);
    assert.equal(connected, 2);
    await client.dispose();
    tunnel.close();
  });

  for (const singleConnection of [false, true]) {
    const mode = singleConnection ? "single connection" : "distinct connections";

    it(`graphql-sse, ${mode} mode`, async () => {
      const client = createSSEClient({ url, singleConnection, retryAttempts: 0 });
      const run = (query, variables) => client.iterate({ query, variables });
      await Promise.all([exercise(run), exercise(run)]);
      client.dispose();
    });

    it(`graphql-sse, ${mode} mode, connects again when it is cut`, async () => {
      const tunnel = await openTunnel();
      let connected = 0;
      const client = createSSEClient({
        url: `http://${tunnel.address}/graphql`, singleConnection, retry: () => Promise.resolve(),
        on: { connected: () => { connected += 1; } },
      });
      await followThroughCut(client, tunnel);
      assert.equal(connected, 2);
      client.dispose();
      tunnel.close();
    });
  }

  it("graphql-sse goes on from a cursor", async () => {
    const client = createSSEClient({ url });
    const id = await submit(40);
    const all = [];
    for await (const { data } of client.iterate({ query: EVENTS, variables: { id } })) all.push(data.taskEvents);
    assert.equal(all.at(-1).status, "SUCCEEDED");
    const rest = [];
    const after = all[1].cursor;
    for await (const { data } of client.iterate({ query: EVENTS, variables: { id, after } })) rest.push(data.taskEvents);
    assert.deepEqual(rest.at(-1), all.at(-1));
    assert.ok(rest.every((event) => isAfter(event.cursor, after)));
    client.dispose();
  });

  it("Apollo Client, with graphql-ws for subscriptions", async () => {
    const sockets = createClient({ url: wsUrl, webSocketImpl: WebSocket });
    const client = new ApolloClient({
      cache: new InMemoryCache(),
      link: ApolloLink.split(
        ({ operationType }) => operationType === "subscription", new GraphQLWsLink(sockets), new HttpLink({ uri: url }),
      ),
      defaultOptions: { query: { fetchPolicy: "network-only" } },
    });
    const shown = ({ data, error }) => (error ? { data, errors: error.errors ?? [error] } : { data });
    await exercise(async function* (text, variables) {
      const document = gql(text);
      if (text.startsWith("subscription")) {
        const observable = client.subscribe({ query: document, variables });
        for await (const result of iterate((observer) => observable.subscribe(observer))) yield shown(result);
      } else if (text.startsWith("mutation")) {
        yield shown(await client.mutate({ mutation: document, variables }));
      } else {
        yield shown(await client.query({ query: document, variables }));
      }
    });
    client.stop();
    await sockets.dispose();
  });

  for (const [by, makeOptions] of [
    ["its own event streams", () => ({ exchanges: [fetchExchange], fetchSubscriptions: true })],
    ["graphql-ws", (sockets) => ({
      exchanges: [
        fetchExchange,
        subscriptionExchange({
          forwardSubscription: (request) => ({
            subscribe: (sink) => ({ unsubscribe: sockets.subscribe(request, sink) }),
          }),
        }),
      ],
    })],
  ]) {
    it(`urql, with ${by} for subscriptions`, async () => {
      const sockets = createClient({ url: wsUrl, webSocketImpl: WebSocket });
      const client = new Client({ url, preferGetMethod: false, ...makeOptions(sockets) });
      const shown = ({ data, error }) => (error ? { data, errors: error.graphQLErrors } : { data });
      await exercise(async function* (text, variables) {
        if (text.startsWith("subscription")) {
          let told;
          for await (const result of toAsyncIterable(client.subscription(text, variables))) {
            // At the end urql hands the last result over again, with `hasNext: false`; after an error it ends nothing.
            if (result.hasNext || !told) yield shown(result);
            if (!result.hasNext || result.error) return;
            told = result;
          }
        } else if (text.startsWith("mutation")) {
          yield shown(await client.mutation(text, variables).toPromise());
        } else {
          yield shown(await client.query(text, variables).toPromise());
        }
      });
      await sockets.dispose();
    });
  }
});
