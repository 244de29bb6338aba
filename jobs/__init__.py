"""Runs the work: kinds, bridge, worker. arq lives only here; nothing here knows the GraphQL edge."""
