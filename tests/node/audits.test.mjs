// Every audit of the GraphQL-over-HTTP specification's reference suite, against a live gateway.
import assert from "node:assert/strict";
import { test } from "node:test";
import { serverAudits } from "graphql-http";
import { url } from "./api.mjs";

const audits = serverAudits({ url });

test("the suite is the one that we know", () => assert.equal(audits.length, 61));

for (const { id, name, fn } of audits) {
  test(`${id} ${name}`, async () => {
    const result = await fn();
    const body = result.response && !result.response.bodyUsed ? await result.response.text() : "";
    assert.equal(result.status, "ok", `${result.reason}\n${body}`);
  });
}
