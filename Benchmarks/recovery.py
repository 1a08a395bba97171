"""How long copies are missing: a sheep that comes back, one that starts empty, and what clients notice of it."""

import os
import random
import subprocess
import threading
import time
from dataclasses import dataclass, field

import nbd
from cluster import Cluster
from subjects import SIZE, MiB

CHANGED = 100 * MiB
# What a client of a busy volume asks for: a steady rate that the cluster can carry with one node less.
PACE = 500


@dataclass
class Sample:
    """Of one recovery: its bytes, and the 99th percentile of a client's writes before and meanwhile, in microseconds."""

    seconds: float
    fetched: int
    calm: float
    busy: float


@dataclass
class Recovery:
    """A way to lose and regain a copy."""

    title: str
    aim: str
    samples: list = field(default_factory=list)


def change(cluster, block):
    """Overwrites CHANGED bytes through the first sheep, spread over the volume, and flushes."""
    subprocess.run(
        ["fio", "--name=change", "--ioengine=nbd", f"--uri={cluster.sheep[0].unix('bench')}", f"--bs={block}",
         "--rw=randwrite" if block == "4k" else "--rw=write", "--iodepth=32", f"--size={SIZE}", f"--io_size={CHANGED}",
         "--end_fsync=1", "--output-format=json"], check=True, capture_output=True, timeout=120)


class Client:
    """A steady client of another volume, one write at a time; its latencies are those of whoever does not care about recovery."""

    def __init__(self, cluster):
        self.uri = cluster.sheep[0].unix("client")
        self.stopping = threading.Event()
        self.samples = []
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()

    def run(self):
        handle = nbd.NBD()
        handle.connect_uri(self.uri)
        numbers, block = random.Random(1), bytearray(os.urandom(4096))
        due = time.monotonic()
        while not self.stopping.is_set():
            due = max(due + 1 / PACE, time.monotonic())
            time.sleep(max(0, due - time.monotonic()))
            started = time.monotonic()
            handle.pwrite(block, numbers.randrange(256 * MiB // 4096) * 4096)
            self.samples.append((started, time.monotonic() - started))
        handle.shutdown()

    def tail(self, since):
        """The 99th percentile, in microseconds, of writes begun since then."""
        latencies = sorted(latency for started, latency in list(self.samples) if started >= since)
        return 1e6 * latencies[min(len(latencies) - 1, len(latencies) * 99 // 100)] if latencies else 0


def fetched(sheep):
    """What the log of the sheep says of its last recovery, in bytes."""
    lines = [line for line in sheep.log.read_text().splitlines() if "in sync again" in line]
    return int(lines[-1].split(" objects and ")[1].split()[0]) if lines else 0


def in_sync(cluster, sheep, before):
    """The sheep has said once more than before that it is in sync, and no group lacks a copy."""
    return sheep.log.read_text().count("in sync again") > before and cluster.information()["redundancy"]["degradedGroups"] == 0


def timed(cluster, sheep, start):
    """Seconds from the start of the process to the last group in sync, and the client's p99 before and meanwhile."""
    before = sheep.log.read_text().count("in sync again") if sheep.log.exists() else 0
    with Client(cluster) as client:
        time.sleep(3)
        started = time.monotonic()
        calm = client.tail(started - 2)
        start()
        while not in_sync(cluster, sheep, before):
            if time.monotonic() - started > 300:
                raise RuntimeError("the recovery did not end within 300 s")
            time.sleep(0.02)
        return time.monotonic() - started, calm, client.tail(started)


def returning(cluster, block):
    sheep = cluster.sheep[2]
    sheep.kill()
    change(cluster, block)
    seconds, calm, busy = timed(cluster, sheep, sheep.start)
    return Sample(seconds, fetched(sheep), calm, busy)


def empty(cluster):
    """A removed sheep's share goes to a fresh one in its place."""
    gone = cluster.sheep[2]
    number = cluster.number(gone)
    gone.kill()
    cluster.dog("node", "remove", str(number))
    fresh = []
    seconds, calm, busy = timed(cluster, FreshLog(cluster), lambda: fresh.extend(cluster.add()))
    return Sample(seconds, fetched(fresh[0]), calm, busy)


class FreshLog:
    """The log of the sheep that will be started next."""

    def __init__(self, cluster):
        self.log = cluster.directory / f"sheep{len(cluster.sheep)}.log"


def measure(directory, rounds):
    recoveries = [
        (Recovery("returning after 100 MiB of changes, 1 MiB each", "3 s"), lambda c: returning(c, "1M")),
        (Recovery("returning after 100 MiB of changes, 4 KiB each", "3 s"), lambda c: returning(c, "4k")),
        (Recovery("an empty one in the place of a removed one", "200 MiB/s"), empty),
    ]
    for number in range(rounds):
        with Cluster(directory / f"recovery-{number}", 3) as cluster:
            cluster.start(3)
            for name, size in (("bench", SIZE), ("client", 256 * MiB)):
                cluster.dog("vdi", "create", name, str(size))
                subprocess.run(["fio", "--name=fill", "--ioengine=nbd", f"--uri={cluster.sheep[0].unix(name)}", "--bs=1M", "--rw=write",
                                "--iodepth=4", f"--size={size}", "--end_fsync=1"], check=True, capture_output=True, timeout=120)
            for recovery, act in recoveries:
                sample = act(cluster)
                recovery.samples.append(sample)
                print(f"{recovery.title}: {sample.seconds:.1f} s, {sample.fetched / MiB:,.0f} MiB fetched, "
                      f"client p99 {sample.calm:,.0f} → {sample.busy:,.0f} µs", flush=True)
    return [recovery for recovery, _ in recoveries]


if __name__ == "__main__":
    import sys
    import tempfile
    from pathlib import Path
    with tempfile.TemporaryDirectory(prefix="sheepdog-recovery-", dir="/var/tmp") as place:
        measure(Path(place), int(sys.argv[1]) if len(sys.argv) > 1 else 1)
