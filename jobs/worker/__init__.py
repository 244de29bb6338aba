"""The worker process: takes tickets from arq's queue, claims their tasks and runs them, and beats for as long."""
