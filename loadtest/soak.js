// An hour of the mixed day at half its rate: what leaks or creeps shows here, not in thirty seconds.
import { parts, run } from "./load.js";

await run({
  name: "soak",
  rate: 10,
  seconds: 3_600,
  failures: 0.0001,
  bounds: { read: { p95: 500, p99: 1_000 }, submit: { p95: 1_000 }, "to the end": { p95: 5_000 } },
  turn: (figures, number) => (number % 10 === 5 ? parts.submitAndFollow(figures) : parts.read(figures)),
});
