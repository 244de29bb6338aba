// Following tasks by graphql-ws on ws, with one connection to Redis that hears of them all.
import { createServer } from "node:http";
import { makeExecutableSchema } from "@graphql-tools/schema";
import { RedisPubSub } from "graphql-redis-subscriptions";
import { useServer } from "graphql-ws/use/ws";
import { Redis } from "ioredis";
import { WebSocketServer } from "ws";

const pubsub = new RedisPubSub({
  publisher: new Redis(process.env.REDIS_URL),
  subscriber: new Redis(process.env.REDIS_URL),
});

const typeDefs = `
  scalar DateTime
  interface TaskEvent { cursor: String! at: DateTime! attempt: Int! }
  type Progress { current: Int! total: Int percent: Float message: String }
  type Progressed implements TaskEvent { cursor: String! at: DateTime! attempt: Int! progress: Progress! }
  type Query { version: String! }
  type Subscription { taskEvents(id: ID!, after: String): TaskEvent! }
`;

const resolvers = {
  TaskEvent: { __resolveType: () => "Progressed" },
  Progressed: { progress: ({ current, total, percent, message }) => ({ current, total, percent, message }) },
  Query: { version: () => "1" },
  Subscription: {
    taskEvents: {
      subscribe: (_root, { id }) => pubsub.asyncIterableIterator(`bench:${id}`),
      resolve: (event) => event,
    },
  },
};

const server = createServer();
const sockets = new WebSocketServer({ server, path: "/graphql" });
useServer({ schema: makeExecutableSchema({ typeDefs, resolvers }) }, sockets);
server.listen(Number(process.argv[2]), "127.0.0.1");
