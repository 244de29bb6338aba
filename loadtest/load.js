// What the load scripts share: an open load at a constant rate, what is measured of it, the bounds, and the summary.
//
// A turn begins at its time whether or not the ones before have ended, and is timed from when it should have begun: a
// server that stalls is charged for all who would have come meanwhile. Nothing but Node.js 22 or later is needed.
//
// HEADWAY_URL is where to ask, HEADWAY_TOKEN what to present. HEADWAY_LOAD_RATE (turns a second) and HEADWAY_LOAD_S
// replace a script's own figures; HEADWAY_LOAD_SUMMARY names a file that the summary is appended to.
import { appendFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

export const ITEMS = `query LoadItems($first: Int!, $after: String) { items(first: $first, after: $after) {
  nodes { id name createdAt } pageInfo { hasNextPage endCursor } } }`;
export const SUBMIT = "mutation LoadSubmit($input: ProcessDataInput!) { processData(input: $input) { id status } }";
export const FOLLOW = `subscription LoadFollow($id: ID!) { taskProgress(id: $id) {
  id status cursor progress { current total } } }`;
export const ENDS = new Set(["SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED"]);

const url = new URL("/graphql", process.env.HEADWAY_URL ?? "http://127.0.0.1:8000").href;
const credential = process.env.HEADWAY_TOKEN ? { authorization: `Bearer ${process.env.HEADWAY_TOKEN}` } : {};
const MOST_AT_ONCE = 1_000;
const TURN_LIMIT_MS = 60_000;

// The times of everything that was measured, by name, and the failures, by what was wrong.
class Figures {
  times = new Map();
  failures = new Map();
  failed = 0;
  turns = 0;

  note(name, ms) {
    if (!this.times.has(name)) this.times.set(name, []);
    this.times.get(name).push(ms);
  }

  fail(reason) {
    this.failed += 1;
    this.failures.set(reason, (this.failures.get(reason) ?? 0) + 1);
  }

  at(name, percent) {
    const sorted = (this.times.get(name) ?? []).toSorted((a, b) => a - b);
    return sorted.length ? sorted[Math.min(sorted.length - 1, Math.ceil((percent / 100) * sorted.length) - 1)] : NaN;
  }
}

// One operation over HTTP. Throws with the server's own code where there is no data.
export async function ask(query, variables) {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...credential },
    body: JSON.stringify({ query, variables }),
    signal: AbortSignal.timeout(TURN_LIMIT_MS),
  });
  const { data, errors } = await response.json();
  if (errors) throw new Error(errors[0].extensions?.code ?? errors[0].message);
  if (response.status !== 200) throw new Error(`HTTP ${response.status}`);
  return data;
}

// Follow a task over graphql-transport-ws to the completion of its subscription; returns all it was told.
export function follow(id) {
  const socket = new WebSocket(url.replace(/^http/, "ws"), "graphql-transport-ws");
  const told = [];
  const send = (message) => socket.send(JSON.stringify(message));
  return new Promise((resolve, reject) => {
    const limit = setTimeout(() => reject(new Error("no end within a minute")), TURN_LIMIT_MS);
    const hear = {
      connection_ack: () => send({ id: "1", type: "subscribe", payload: { query: FOLLOW, variables: { id } } }),
      next: ({ payload }) => {
        if (payload.errors) reject(new Error(payload.errors[0].extensions.code));
        else told.push(payload.data.taskProgress);
      },
      error: ({ payload }) => reject(new Error(payload[0].extensions?.code ?? payload[0].message)),
      complete: () => {
        clearTimeout(limit);
        resolve(told);
      },
      ping: () => send({ type: "pong" }),
    };
    socket.onopen = () => send({ type: "connection_init", payload: credential });
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      hear[message.type]?.(message);
    };
    socket.onclose = ({ code }) => {
      clearTimeout(limit);
      reject(new Error(`closed with ${code}`));
    };
    socket.onerror = () => {}; // What follows it, the close, is what is counted.
  }).finally(() => socket.close());
}

// The parts that the scripts are put together from; each notes its own times.
export const parts = {
  async read(figures) {
    const began = performance.now();
    const { items } = await ask(ITEMS, { first: 20 });
    if (!Array.isArray(items.nodes)) throw new Error("no items");
    figures.note("read", performance.now() - began);
  },

  async submit(figures, iterations = 5) {
    const began = performance.now();
    const input = { data: `load ${Math.random()}`, iterations };
    const { processData } = await ask(SUBMIT, { input });
    figures.note("submit", performance.now() - began);
    return processData.id;
  },

  async submitAndFollow(figures, iterations = 5) {
    const began = performance.now();
    const told = await follow(await parts.submit(figures, iterations));
    const ends = told.filter(({ status }) => ENDS.has(status));
    if (ends.length !== 1 || ends[0] !== told.at(-1)) throw new Error(`told of ${ends.length} ends`);
    if (ends[0].status !== "SUCCEEDED") throw new Error(`ended ${ends[0].status}`);
    figures.note("to the end", performance.now() - began);
  },
};

// Run a script: `turn(figures, number)` at `rate` a second for `seconds`. `bounds` are { name: { p95: ms, p99: ms } };
// `failures` is the share of turns that may fail. The exit status is 1 where a bound did not hold.
export async function run({ name, rate, seconds, bounds, failures = 0, turn }) {
  const given = { rate: Number(process.env.HEADWAY_LOAD_RATE ?? rate), s: Number(process.env.HEADWAY_LOAD_S ?? seconds) };
  const figures = new Figures();
  const open = new Set();
  const began = performance.now();
  for (let number = 0; number < given.rate * given.s; number++) {
    const due = began + (number * 1000) / given.rate;
    const early = due - performance.now();
    if (early > 0) await sleep(early);
    figures.turns += 1;
    if (open.size >= MOST_AT_ONCE) {
      figures.fail("too many turns at once");
      continue;
    }
    const one = turn(figures, number)
      .then(() => figures.note("turn", performance.now() - due))
      .catch((error) => figures.fail(error.cause?.code ?? error.message))
      .finally(() => open.delete(one));
    open.add(one);
  }
  await Promise.all(open);
  const verdicts = judge(figures, bounds, failures);
  const summary = summarise(name, given, figures, verdicts, (performance.now() - began) / 1000);
  console.log(summary);
  if (process.env.HEADWAY_LOAD_SUMMARY) appendFileSync(process.env.HEADWAY_LOAD_SUMMARY, `${summary}\n`);
  process.exitCode = verdicts.every(({ held }) => held) ? 0 : 1;
}

// A name that nothing was measured of breaks its bound: NaN is not below it.
function judge(figures, bounds, failures) {
  const share = figures.failed / figures.turns;
  const verdicts = [{ text: `failed turns ${(share * 100).toFixed(2)} % (at most ${failures * 100} %)`, held: share <= failures }];
  for (const [measured, limits] of Object.entries(bounds)) {
    for (const [percentile, limit] of Object.entries(limits)) {
      const found = figures.at(measured, Number(percentile.slice(1)));
      verdicts.push({ text: `${measured} ${percentile} ${found.toFixed(0)} ms (at most ${limit} ms)`, held: found <= limit });
    }
  }
  return verdicts;
}

function summarise(name, given, figures, verdicts, took) {
  const lines = [`## ${name}`, "", `${figures.turns} turns at ${given.rate} a second, all ended after ${took.toFixed(1)} s.`, ""];
  lines.push("| measured | times | p50 ms | p95 ms | p99 ms | max ms |", "| --- | --- | --- | --- | --- | --- |");
  for (const [measured, times] of figures.times) {
    const row = [50, 95, 99, 100].map((percent) => figures.at(measured, percent).toFixed(0));
    lines.push(`| ${measured} | ${times.length} | ${row.join(" | ")} |`);
  }
  lines.push("", ...verdicts.map(({ text, held }) => `* ${held ? "held" : "**BROKEN**"}: ${text}`));
  for (const [reason, times] of figures.failures) lines.push(`* failed ${times} times: ${reason}`);
  return `${lines.join("\n")}\n`;
}
