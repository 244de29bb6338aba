// A list of items by Mercurius, which compiles a query that it has seen once.
import Fastify from "fastify";
import mercurius from "mercurius";
import { resolvers, typeDefs } from "./items.mjs";

const app = Fastify();
app.register(mercurius, { schema: typeDefs, resolvers, jit: 1 });
await app.listen({ port: Number(process.argv[2]), host: "127.0.0.1" });
