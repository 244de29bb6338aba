"""The whole topology on one machine: starts processes, keeps them up, and imports no one's internals."""
