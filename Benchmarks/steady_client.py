"""A client that writes at a steady rate, one write at a time, and prints for each when it began and how long it took, in seconds.

A process of its own: within the one that starts sheep, it would wait for that one's interpreter too.
"""

import os
import random
import sys
import time

import nbd


def main(uri, size, pace):
    handle = nbd.NBD()
    handle.connect_uri(uri)
    numbers, block = random.Random(1), bytearray(os.urandom(4096))
    due = time.monotonic()
    while True:
        due = max(due + 1 / pace, time.monotonic())
        time.sleep(max(0, due - time.monotonic()))
        started = time.monotonic()
        handle.pwrite(block, numbers.randrange(size // 4096) * 4096)
        print(f"{started} {time.monotonic() - started}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
