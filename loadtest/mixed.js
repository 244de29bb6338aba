// What a day looks like: of 20 turns 17 read, 2 submit and follow to the end, 1 submits only.
import { parts, run } from "./load.js";

await run({
  name: "mixed",
  rate: 20,
  seconds: 30,
  bounds: { read: { p95: 500, p99: 1_000 }, submit: { p95: 1_000 }, "to the end": { p95: 5_000 } },
  turn: async (figures, number) => {
    if (number % 20 === 0) await parts.submit(figures);
    else if (number % 10 === 5) await parts.submitAndFollow(figures);
    else await parts.read(figures);
  },
});
