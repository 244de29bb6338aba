// BullMQ on Redis: one process, 100 jobs at once.
import { Worker } from "bullmq";
import { connection, name } from "./queue.mjs";

const redis = connection();
const ended = new Map();

async function work({ data: { turn, total, steps } }) {
  const started = (performance.timeOrigin + performance.now()) / 1000;
  for (let step = 1; step <= steps; step++) await redis.publish(turn, `${step} of ${steps}`);
  ended.set(turn, (ended.get(turn) ?? 0) + 1);
  if (ended.get(turn) === total) await redis.rpush(turn, String(started));
}

const worker = new Worker(name, work, { connection: connection(), concurrency: 100, removeOnComplete: { count: 0 } });
process.once("SIGTERM", async () => {
  await worker.close(true);
  process.exit(0);
});
