// The TypeScript recipes of docs/clients.md, compiled into the folder HEADWAY_RECIPES: each follows tasks through
// connections that are cut or fall silent and tokens that end.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { after, describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import WebSocket from "ws";
import { UNKNOWN_ID, isAfter, openTunnel, url } from "./api.mjs";

const TOKEN_S = 3;
const LONG_MS = 5_000;
const HASTE = 10;

globalThis.WebSocket ??= WebSocket; // As in a browser; Node.js 20 has none.

class ForeignWebSocket extends WebSocket {
  constructor(address, protocols) {
    super(address, protocols, { origin: "https://elsewhere.example" });
  }
}

// Long waits pass ten times faster: the recipes notice a silent connection after 15 s.
const realSetTimeout = globalThis.setTimeout;
globalThis.setTimeout = (callback, ms, ...rest) => realSetTimeout(callback, ms >= LONG_MS ? ms / HASTE : ms, ...rest);

const recipe = (file) => import(pathToFileURL(`${process.env.HEADWAY_RECIPES}/${file}`));
const [plain, apollo, urql] = await Promise.all(["headway.js", "apollo.js", "urql.js"].map(recipe));

async function makeToken() {
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const claims = { ...JSON.parse(process.env.HEADWAY_CLAIMS), exp: Math.floor(Date.now() / 1000) + TOKEN_S };
  const signed = `${encode({ alg: "HS256", typ: "JWT" })}.${encode(claims)}`;
  return `${signed}.${createHmac("sha256", process.env.HEADWAY_JWT_SECRET).update(signed).digest("base64url")}`;
}

async function submitSteps(steps) {
  const query = `mutation { tell(input: { steps: ${steps}, pauseS: 0.1 }) { id } }`;
  const headers = { "content-type": "application/json", authorization: `Bearer ${await makeToken()}` };
  const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify({ query }) });
  return (await answer.json()).data.tell.id;
}

// Follows to the end, calling back with each event and all before it. Rejects with the recipe's error.
function followToEnd({ follow }, client, id, cursor = null, onEvent = () => {}) {
  const told = [];
  return new Promise((resolve, reject) => {
    follow(client, id, cursor, {
      next: (event) => { told.push(event); onEvent(event, told); },
      error: reject,
      complete: () => resolve(told),
    });
  });
}

const isFifthStep = (event, told) =>
  event.__typename === "Progressed" && told.filter(({ __typename }) => __typename === "Progressed").length === 5;

// Checks that nothing is told twice and nothing missing: an epoch's events are numbered without a hole.
function checkEvents(told, status) {
  told.slice(1).forEach(({ cursor }, i) => {
    const before = told[i].cursor;
    assert.ok(isAfter(cursor, before), `${cursor} came after ${before}`);
    const [[epoch, n], [lastEpoch, lastN]] = [cursor, before].map((text) => text.split("-").map(Number));
    assert.equal(n, epoch === lastEpoch ? lastN + 1 : 1, `${cursor} came after ${before}`);
  });
  assert.deepEqual(told.filter(({ __typename }) => __typename === "Gap"), []);
  assert.deepEqual([told[0].cursor, told.at(-1).status], ["1-1", status]);
}

const RECIPES = {
  "graphql-ws": { make: plain.connect, follow: plain.followTask, cancel: plain.cancelTask },
  "Apollo Client": {
    make: apollo.createApolloClient,
    follow: (client, id, cursor, follower) => {
      const subscription = apollo.followTask(client, id, cursor).subscribe(follower);
      return () => subscription.unsubscribe();
    },
    cancel: apollo.cancelTask,
  },
  urql: { make: urql.createUrqlClient, follow: urql.followTask, cancel: urql.cancelTask },
};

describe("the recipe for", { concurrency: true, timeout: 50_000 }, () => {
  for (const [name, recipe] of Object.entries(RECIPES)) describe(name, { concurrency: true }, () => {
    const tunnels = [];
    after(() => { for (const tunnel of tunnels) tunnel.close(); });
    const open = async (getToken = makeToken, Socket = globalThis.WebSocket) => {
      const tunnel = await openTunnel();
      tunnels.push(tunnel);
      const own = globalThis.WebSocket;
      globalThis.WebSocket = Socket; // A client looks for it once, while it is made.
      const client = recipe.make(`http://${tunnel.address}/graphql`, getToken);
      globalThis.WebSocket = own;
      return { tunnel, client };
    };

    it("tells every event once though its connection is cut and its token ends", async () => {
      const { tunnel, client } = await open();
      const id = await submitSteps(600);
      let cancelled;
      const told = await followToEnd(recipe, client, id, null, (event, sofar) => {
        if (isFifthStep(event, sofar)) tunnel.cut();
        if (tunnel.accepted() >= 3 && tunnel.heard("UNAUTHENTICATED")) cancelled ??= recipe.cancel(client, id);
      });
      checkEvents(told, "CANCELLED");
      assert.deepEqual(await followToEnd(recipe, client, id, told[6].cursor), told.slice(7));
    });

    it("connects again when its connection falls silent", async () => {
      const { tunnel, client } = await open();
      const told = await followToEnd(recipe, client, await submitSteps(30), null, (event, sofar) => {
        if (isFifthStep(event, sofar)) tunnel.silence();
      });
      checkEvents(told, "SUCCEEDED");
    });

    it("cancels, and hears the end of what it cancelled", async () => {
      const { client } = await open();
      const id = await submitSteps(600);
      let cancelled;
      const told = await followToEnd(recipe, client, id, null, (event) => {
        if (event.__typename === "Progressed") cancelled ??= recipe.cancel(client, id);
      });
      checkEvents(told, "CANCELLED");
      assert.ok(["RUNNING", "CANCELLING", "CANCELLED"].includes(await cancelled));
    });

    it("leaves no connection when it stops, and the task alone", async () => {
      const { tunnel, client } = await open();
      const id = await submitSteps(20);
      await new Promise((resolve, reject) => {
        const stop = recipe.follow(client, id, null, {
          next: (event) => { if (event.__typename === "Progressed") { stop(); resolve(); } },
          error: reject,
          complete: () => {},
        });
      });
      await tunnel.empty();
      checkEvents(await followToEnd(recipe, client, id), "SUCCEEDED");
    });

    it("tells each of two followers of one task everything", async () => {
      const { client } = await open();
      const id = await submitSteps(20);
      let second;
      const first = await followToEnd(recipe, client, id, null, (event, told) => {
        if (isFifthStep(event, told)) second = followToEnd(recipe, client, id);
      });
      checkEvents(first, "SUCCEEDED");
      assert.deepEqual(await second, first);
    });

    it("gives up where no token is accepted and where its page's origin is not allowed", async () => {
      const isForbidden = (error) => /4403/.test(`${(error.networkError ?? error).code} ${error.message}`);
      const refused = await open(async () => "nobody's");
      await assert.rejects(followToEnd(recipe, refused.client, UNKNOWN_ID), isForbidden);
      assert.equal(refused.tunnel.accepted(), 3);
      const foreign = await open(makeToken, ForeignWebSocket);
      await assert.rejects(followToEnd(recipe, foreign.client, UNKNOWN_ID), isForbidden);
      assert.equal(foreign.tunnel.accepted(), 3);
    });

    it("passes on what no other try would change", async () => {
      const { client } = await open();
      await assert.rejects(followToEnd(recipe, client, UNKNOWN_ID), (error) => {
        const [first] = error.graphQLErrors ?? error.errors ?? error;
        return first.extensions.code === "NOT_FOUND";
      });
      const signedOut = await open(() => Promise.reject(new Error("signed out")));
      await assert.rejects(followToEnd(recipe, signedOut.client, UNKNOWN_ID), /signed out/);
    });
  });
});
