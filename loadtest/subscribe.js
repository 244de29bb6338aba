// Followers: each submits a task and follows it over a WebSocket of its own until it has been told of the one end.
import { parts, run } from "./load.js";

await run({
  name: "subscribe",
  rate: 4,
  seconds: 30,
  bounds: { submit: { p95: 1_000 }, "to the end": { p95: 5_000, p99: 10_000 } },
  turn: (figures) => parts.submitAndFollow(figures),
});
