"""the owner of a volume is killed, stopped, cut off: soon a write through another door is acknowledged"""

from acceptance import check
from takeover import KINDS, measure, percentile, told

SHEEP, COPIES, LIMIT, OWN_NETWORK = 3, 3, 300, True
SHEEP_OPTIONS = ("--io-timeout", "0")

TRIES, TRIES_FULL = 2, 10
# The median of a few on a machine with other work; `make bench` prints all of a hundred.
LONGEST = 3.0


def scenario(bed):
    for kind in KINDS:
        times = measure(bed, kind, TRIES_FULL if bed.full else TRIES)
        print(f"{kind}: {told(times)}", flush=True)
        check(percentile(times, 50) < LONGEST, f"the owner was {kind}: {told(times)}")
