"""`python -m tests.attacks.probe PORT PID`: asks `{ __typename }` every 25 ms over one connection until its input ends.

Says when the first answer has come, and at the end prints a Findings as JSON. It is a process of its own, so that what
an attacker's loop does can't delay it. PROBE_AUTHORIZATION is what it presents.
"""

import http.client
import os
import select
import sys
import time
from pathlib import Path

import msgspec

EVERY_S = 0.025
BODY = b'{"query":"{ __typename }"}'
HEADERS = {"content-type": "application/json", "authorization": os.environ.get("PROBE_AUTHORIZATION", "")}


class Findings(msgspec.Struct, frozen=True):
    """What the probe saw.

    `longest_s` is the longest time from one answer to the next, or to the end, without that in which the main thread of
    the gateway or of the probe could have run and had no processor; where both waited at once, that counts twice.
    """

    answers: int
    longest_s: float
    wrong: list[str]


def kept_waiting_s(*pids: int) -> float:
    """Return for how long these processes' main threads have waited for a processor; 0 where no system tells it."""
    told = [path for pid in pids if (path := Path(f"/proc/{pid}/schedstat")).exists()]
    return sum(int(path.read_text().split()[1]) for path in told) / 1e9


def watch(port: int, pid: int) -> Findings:
    """Ask until the end of the standard input."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    answers, longest, wrong = 0, 0.0, []
    answered_at, waited_s = time.monotonic(), kept_waiting_s(pid, os.getpid())
    while not select.select([sys.stdin], [], [], EVERY_S)[0]:
        try:
            connection.request("POST", "/graphql", BODY, HEADERS)
            response = connection.getresponse()
            body = response.read()
            if response.status != 200 or b'"Query"' not in body:
                wrong.append(f"{response.status} {body[:200]!r}")
        except (OSError, http.client.HTTPException) as exc:
            wrong.append(repr(exc))
            connection.close()
        now, waits_s = time.monotonic(), kept_waiting_s(pid, os.getpid())
        answers += 1
        if answers == 1:
            sys.stdout.write("watching\n")
            sys.stdout.flush()
        else:
            longest = max(longest, now - answered_at - (waits_s - waited_s))
        answered_at, waited_s = now, waits_s
    return Findings(answers, longest, wrong[:5])


if __name__ == "__main__":
    sys.stdout.write(msgspec.json.encode(watch(int(sys.argv[1]), int(sys.argv[2]))).decode())
