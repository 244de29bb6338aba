"""The GraphQL edge: schema, resolvers, transports, relay. Starlette and Strawberry live only here."""
