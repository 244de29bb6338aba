"""What a document may ask for: its shape before it is validated, its cost before it is executed.

Knows graphql-core and the prices that the schema declares; nothing of requests and transports.
"""
