// What the tests say to a gateway, and what every client must be told about a task. The address is in HEADWAY_URL.
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";

export const url = `${process.env.HEADWAY_URL}/graphql`;
export const wsUrl = url.replace(/^http/, "ws");
export const UNKNOWN_ID = "0190f5c4-7e1a-7c3b-9d2e-3f4a5b6c7d8e";

export const QUERY = "{ health { status } }";
export const SUBMIT = "mutation ($input: ProcessDataInput!) { processData(input: $input) { id } }";
export const FOLLOW = `subscription ($id: ID!) { taskProgress(id: $id) {
  id kind status cursor attempt progress { current total percent }
  ... on ProcessDataTask { result { totalProcessed processedItems { digest } } }
} }`;
export const EVENTS = `subscription ($id: ID!, $after: String) { taskEvents(id: $id, after: $after) {
  cursor ... on StateChanged { status }
} }`;

const ENDS = ["SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED"];

export function input(iterations = 40) {
  return { input: { data: `node ${Math.random()}`, iterations } };
}

export function isAfter(cursor, other) {
  const [epoch, n] = cursor.split("-").map(Number);
  const [otherEpoch, otherN] = other.split("-").map(Number);
  return epoch > otherEpoch || (epoch === otherEpoch && n > otherN);
}

// Checks the story that one subscription told of a task: cursors rise, progress does not fall, one end and it is last.
export function checkStory(told, id, iterations = 40) {
  assert.ok(told.length > 0, "nothing was told, not even the snapshot");
  for (let i = 1; i < told.length; i++) {
    assert.ok(isAfter(told[i].cursor, told[i - 1].cursor), `${told[i].cursor} came after ${told[i - 1].cursor}`);
    assert.ok(told[i].progress.current >= told[i - 1].progress.current || told[i].attempt > told[i - 1].attempt);
  }
  assert.deepEqual(told.map((task) => ENDS.includes(task.status)), told.map((_, i) => i === told.length - 1));
  const end = told.at(-1);
  assert.deepEqual([end.id, end.kind, end.status], [id, "processData", "SUCCEEDED"]);
  assert.equal(end.result.totalProcessed, iterations);
  assert.equal(new Set(end.result.processedItems.map((item) => item.digest)).size, iterations);
}

export function codes(errors) {
  return errors.map((error) => error.extensions.code);
}

// Runs the four things that everybody does: ask, submit, follow to the end, and hear of an unknown id. `run` takes a
// document and variables and returns an async iterable of { data, errors }.
export async function exercise(run) {
  const only = async (results) => {
    const all = [];
    for await (const result of results) all.push(result);
    assert.equal(all.length, 1);
    return all[0];
  };
  assert.equal((await only(run(QUERY))).data.health.status, "HEALTHY");
  const submitted = await only(run(SUBMIT, input()));
  const { id } = submitted.data.processData;
  const told = [];
  for await (const { data, errors } of run(FOLLOW, { id })) {
    assert.equal(errors, undefined);
    told.push(data.taskProgress);
  }
  checkStory(told, id);
  assert.deepEqual(codes((await only(run(FOLLOW, { id: UNKNOWN_ID }))).errors), ["NOT_FOUND"]);
}

// Passes connections on to the gateway until told to cut them all, or to pass nothing more through those that are open.
export async function openTunnel() {
  const { hostname, port } = new URL(url);
  const sockets = new Set();
  let accepted = 0;
  let heard = "";
  const server = net.createServer((near) => {
    accepted += 1;
    const far = net.connect({ host: hostname, port: Number(port) });
    far.on("data", (bytes) => { heard += bytes.toString("latin1"); });
    for (const [socket, other] of [[near, far], [far, near]]) {
      sockets.add(socket);
      socket.pipe(other);
      socket.on("error", () => other.destroy());
      socket.on("close", () => { sockets.delete(socket); other.destroy(); });
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const cut = () => { for (const socket of sockets) socket.destroy(); };
  return {
    address: `127.0.0.1:${server.address().port}`,
    cut,
    silence: () => { for (const socket of sockets) socket.unpipe().pause(); },
    accepted: () => accepted,
    heard: (text) => heard.includes(text),
    empty: async () => { for (const socket of sockets) await once(socket, "close"); },
    close: () => { cut(); server.close(); },
  };
}
