"""How GraphQL travels, over HTTP and WebSocket: each hands a request to gateway.operations and sends the outcome."""
