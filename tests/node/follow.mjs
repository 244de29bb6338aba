// Submits tasks and follows each by the npm graphql-ws client on one socket; prints what it saw as one line of JSON.
//
//   node follow.mjs ws://127.0.0.1:8000/graphql '[{"data": "hello", "iterations": 100}]'
import { createClient } from "graphql-ws";
import WebSocket from "ws";

const [url, inputs] = process.argv.slice(2);
const closes = [];
let closed;
const hasClosed = new Promise((resolve) => (closed = resolve));
const client = createClient({
  url,
  webSocketImpl: WebSocket,
  lazy: false,
  retryAttempts: 0,
  onNonLazyError: (error) => closes.push(String(error)),
  on: {
    closed: (event) => {
      closes.push({ code: event.code, reason: event.reason });
      closed();
    },
  },
});

async function single(query, variables) {
  for await (const answer of client.iterate({ query, variables })) return answer;
  throw new Error("completed without an answer");
}

async function follow(input) {
  const submitted = await single("mutation ($input: ProcessDataInput!) { processData(input: $input) { id } }", {
    input,
  });
  const id = submitted.data.processData.id;
  const told = [];
  const subscription = client.iterate({
    query: `subscription ($id: ID!) { taskProgress(id: $id) {
      id kind status cursor attempt progress { current total percent }
      ... on ProcessDataTask { result { totalProcessed processedItems { digest } } }
    } }`,
    variables: { id },
  });
  for await (const { data, errors } of subscription) {
    if (errors) throw new Error(JSON.stringify(errors));
    told.push(data.taskProgress);
  }
  return { id, told };
}

async function refused(query, variables) {
  try {
    const answer = await single(query, variables);
    return answer.errors.map((error) => error.extensions.code);
  } catch (errors) {
    return Array.isArray(errors) ? errors.map((error) => error.extensions.code) : [String(errors)];
  }
}

const tasks = await Promise.all(JSON.parse(inputs).map(follow));
const errors = {
  unknownId: await refused("subscription { taskProgress(id: \"0190f5c4-7e1a-7c3b-9d2e-3f4a5b6c7d8e\") { id } }"),
  noId: await refused("subscription { taskProgress(id: \"nonsense\") { id } }"),
  noSuchField: await refused("subscription { nothing }"),
  badVariable: await refused("query ($first: Int) { items(first: $first) { nodes { id } } }", { first: "many" }),
};
const stillServed = await single("{ health { status } }");
await client.dispose();
await hasClosed;
console.log(JSON.stringify({ tasks, errors, stillServed, closes }));
