"""The `headway` command: starts a stack, submits to it, watches. It speaks the public API and imports no one else's."""
