"""The bridge process: hands tasks from their backlog (RabbitMQ, or MongoDB without a broker) to arq's short queue."""
