"""How long a volume is without a gateway when its owner goes: a section of docs/benchmarks.md."""

import os

from acceptance import Bed
from report import table
from takeover import KINDS, measure, percentile

# A hundred together.
TRIES = {"killed": 40, "stopped (SIGSTOP)": 30, "cut off from all others": 30}
TRIES_QUICK = 2


def takeover_section(quick):
    """Measures, and returns the section's text."""
    rows = []
    with Bed(3, 3, False, ("--io-timeout", "0"), own_network=True) as bed:
        for kind in KINDS:
            # What was measured before keeps the disk busy for a while.
            os.sync()
            times = measure(bed, kind, TRIES_QUICK if quick else TRIES[kind])
            rows.append([kind, str(len(times)), *(f"{percentile(times, share):.2f} s" for share in (50, 99)), f"{times[-1]:.2f} s"])
            print(f"takeover, the owner {' '.join(rows[-1])}", flush=True)
    note = """Three sheep with three copies, each in a network namespace of its own, with the cluster's key. The owner of a volume goes in the
middle of writes; the time is from that moment to the acknowledgement of a write that was sent at once through another sheep, the
new connection included."""
    return f"## Takeover: until a write through another gateway is acknowledged\n\n{note}\n\n" + table(
        ["the owner is", "tries", "p50", "p99", "longest"], rows)
