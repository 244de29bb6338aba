"""The numbers of bridges and workers for Prometheus, in the process's own registry."""

from prometheus_client import Counter, Gauge, Histogram

ATTEMPT_BUCKETS_S = (0.1, 0.5, 1, 5, 15, 60, 300, 1_800, 7_200)

DEAD_LETTERS = Counter("headway_dead_letters", "Messages and tasks that could not be run, by cause.", ("cause",))
REPAIRS = Counter("headway_repairs", "What the reconciler set right or did when due, tasks or files.", ("repair",))
LOSSES = Counter(
    "headway_losses",
    "Attempts that were lost: with a worker whose lease ran out, with a suspect's worker, with a process of the pool.",
    ("lost",),
)
ATTEMPTS = Counter(
    "headway_attempts",
    "Attempts that ended here, by the status they left: QUEUED was handed back, FENCED had lost its task.",
    ("kind", "status"),
)
ATTEMPT_SECONDS = Histogram(
    "headway_attempt_seconds", "From an attempt's claim to its stored end.", ("kind",), buckets=ATTEMPT_BUCKETS_S
)
PUBLISH_LAG = Histogram(
    "headway_publish_lag_seconds",
    "From the making of the oldest of the events that are sent together to Redis' having them.",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 10),
)
MISSED_BEATS = Counter("headway_missed_beats", "Beats that MongoDB did not take; a lease ends after 10 s without one.")
RUNNING_ATTEMPTS = Gauge("headway_running_attempts", "Attempts whose leases this worker holds now.")
WORKER_SLOTS = Gauge("headway_worker_slots", "Attempts that this worker runs at once.")
SUSPECTS = Gauge("headway_suspects", "Suspects that run in processes of their own under this worker now.")
HANDED_OVER = Counter("headway_handed_over", "Tasks that this bridge put into the run queue.")
RUN_QUEUE = Gauge(
    "headway_run_queue_tasks", "Tasks that wait in a run queue (common, suspects); from the leader alone.", ("queue",)
)
BRIDGE_WINDOW = Gauge("headway_bridge_window", "Tasks that this bridge keeps in the run queue at most.")
LEADS = Gauge("headway_bridge_leads", "1 while this bridge leads: it reconciles, and measures the backlog.")
BACKLOG = Gauge(
    "headway_backlog_tasks", "Tasks that wait for a bridge, counted to 10,000; from the leader alone.", ("priority",)
)
BACKLOG_AGE = Gauge(
    "headway_backlog_age_seconds", "How long the first of these has waited; from the leader alone.", ("priority",)
)

# A counter that appears with its first event has no increase that an alert could see.
for _cause in ("unreadable", "unknown kind"):
    DEAD_LETTERS.labels(_cause)
for _repair in (
    *("expired", "cancelled", "due", "published", "taken over", "retried", "put back"),
    *("contents dropped", "files dropped"),
):
    REPAIRS.labels(_repair)
for _lost in ("worker", "suspect", "process"):
    LOSSES.labels(_lost)
