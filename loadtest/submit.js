// Submits: one durable task a turn, nobody follows it.
import { parts, run } from "./load.js";

await run({
  name: "submit",
  rate: 5,
  seconds: 30,
  bounds: { submit: { p95: 1_000, p99: 2_000 } },
  turn: (figures) => parts.submit(figures),
});
