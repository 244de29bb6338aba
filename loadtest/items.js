// Reads: one page of items a turn. Below nginx's 100 requests a second for one address.
import { parts, run } from "./load.js";

await run({
  name: "items",
  rate: 50,
  seconds: 30,
  bounds: { turn: { p95: 500, p99: 1_000 } },
  turn: (figures) => parts.read(figures),
});
