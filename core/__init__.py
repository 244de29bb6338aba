"""What both sides must agree on: settings, documents, messages, events, connections and errors.

Nothing here may import Starlette, Strawberry or arq.
"""
