"""Waiting for conditions, never for times."""

import time


class TimedOut(Exception):
    """A condition did not come true in its time."""


def wait_until(condition, what, timeout=30.0, interval=0.05):
    """Calls `condition` until it returns something true, and returns that; raises TimedOut, which names `what`."""
    deadline = time.monotonic() + timeout
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() >= deadline:
            raise TimedOut(f"after {timeout:g} s still not so: {what}")
        time.sleep(interval)
