// Where BullMQ's queue is.
import Redis from "ioredis";

export const name = process.env.BENCH_NAME;
export const connection = () => new Redis(process.env.REDIS_URL, { maxRetriesPerRequest: null });
