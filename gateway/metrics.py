"""The edge's numbers for Prometheus, in the process's own registry.

What is counted with every request is a dictionary (`..._by`); the rest are prometheus_client's own.
"""

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from gateway.counting import numbers

operations_by = numbers(
    CounterMetricFamily,
    "headway_operations",
    "GraphQL operations that ended, by type and outcome (ok, errors, refused, cancelled).",
    ("operation", "outcome"),
)
running_operations_by = numbers(
    GaugeMetricFamily, "headway_running_operations", "GraphQL operations that run now.", ("operation",)
)
plans_by = numbers(
    CounterMetricFamily,
    "headway_plans",
    "Operations by how far a plan rendered them: whole, or why graphql-core did. Also `value`, what a plan gave up, "
    "and `strawberry`, root fields that Strawberry had to call, also where their arguments were wrong.",
    ("served",),
)
frames_by = numbers(
    CounterMetricFamily,
    "headway_frames",
    "Events told to a subscriber by how the answer was made: rendered by the plan, shared with others, or executed.",
    ("made",),
)
OPEN_SOCKETS = Gauge("headway_open_sockets", "WebSocket connections that are open now.")
OPEN_STREAMS = Gauge("headway_open_streams", "Event streams (SSE) that are open now.")
SOCKET_CLOSES = Counter("headway_socket_closes", "WebSocket connections that this side closed, by code.", ("code",))
http_responses_by = numbers(
    CounterMetricFamily, "headway_http_responses", "Answers of the GraphQL endpoint over HTTP, by status.", ("status",)
)
WATCHED_TASKS = Gauge("headway_relay_watched_tasks", "Tasks that this replica follows for its subscribers now.")
SUBSCRIBERS = Gauge("headway_relay_subscribers", "Subscribers that follow these tasks now.")
RELAY_LAG = Gauge(
    "headway_relay_lag_seconds",
    "How old the latest event of a followed task was when it came from Redis, by the clocks of its writer and of this "
    "replica.",
)
CONFIRM_SECONDS = Histogram(
    "headway_submit_confirm_seconds",
    "From the publishing of tasks that are submitted together to the broker's confirm, whether or not the client "
    "waited for it; what was not published, or refused, is not in it.",
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5),
)
UNCONFIRMED = Counter(
    "headway_unconfirmed_submits", "Submitted tasks that the broker did not take; they are published again later."
)
BOARDS = Gauge("headway_relay_boards", "Subscribers that follow all tasks matching a filter now.")
CONNECTIONS = Gauge("headway_connections", "TCP connections that are open now, of any protocol.")
REFUSED = Counter("headway_refused", "What was refused because a cap was reached or a time was up, by cap.", ("cap",))
REFUSED_CREDENTIALS = Counter("headway_refused_credentials", "Callers whose API key or token was missing or refused.")
BUDGET_REFUSALS = Counter("headway_budget_refusals", "Operations refused because a principal's minute was spent.")
BUDGET_FAILURES = Counter("headway_budget_failures", "Operations let through uncharged because Redis did not answer.")
