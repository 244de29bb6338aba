// Submits as turns.py does: `node app.mjs COUNT STEPS` at once, `node app.mjs COUNT` one after the other.
import { setTimeout as sleep } from "node:timers/promises";
import { Queue } from "bullmq";
import { connection, name } from "./queue.mjs";

const AT_ONCE = 64;
const QUIET_MS = 150;
const [count, steps] = process.argv.slice(2).map(Number);
const queue = new Queue(name, { connection: connection() });
const redis = connection();
const now = () => (performance.timeOrigin + performance.now()) / 1000;

async function together() {
  const turn = `${name}:${now()}`;
  let left = count;
  const began = now();
  const work = async () => {
    while (left-- > 0) await queue.add("work", { turn, total: count, steps });
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  await redis.blpop(turn, 0);
  return [began, now()];
}

async function alone() {
  const took = [];
  for (let number = 0; number < count; number++) {
    const turn = `${name}:${now()}:${number}`;
    const began = now();
    await queue.add("work", { turn, total: 1, steps: 0 });
    took.push(Number((await redis.blpop(turn, 0))[1]) - began);
    await sleep(QUIET_MS);
  }
  return took;
}

process.stdout.write(JSON.stringify(await (steps === undefined ? alone() : together())), () => process.exit(0));
