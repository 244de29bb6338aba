// The items that every peer holds in memory, the schema they are listed by, and its scalars.
import { readFileSync } from "node:fs";
import { GraphQLScalarType } from "graphql";

const stored = JSON.parse(readFileSync(process.env.BENCH_ITEMS, "utf8"));
const items = stored.map((one) => ({ ...one, createdAt: new Date(one.createdAt), updatedAt: new Date(one.updatedAt) }));

export const typeDefs = `
  scalar DateTime
  scalar JSON
  type Item { id: ID! name: String! description: String metadata: JSON! createdAt: DateTime! updatedAt: DateTime! }
  type ItemConnection { nodes: [Item!]! }
  type Query { items(first: Int = 20): ItemConnection! }
`;

export const resolvers = {
  DateTime: new GraphQLScalarType({ name: "DateTime", serialize: (moment) => moment.toISOString() }),
  JSON: new GraphQLScalarType({ name: "JSON", serialize: (value) => value }),
  Query: { items: async (_root, { first }) => ({ nodes: items.slice(0, first) }) },
};
