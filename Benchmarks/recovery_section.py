"""How long copies are missing: a sheep that comes back, one that starts empty, and what clients notice of it."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from cluster import Cluster
from report import table
from subjects import SIZE, MiB

CHANGED = 100 * MiB
CLIENT_SIZE = 256 * MiB
# What a client of a busy volume asks for: a steady rate that the cluster can carry with one node less.
PACE = 500
# Seconds in which its latencies are measured before a recovery, and again after it.
CALM = 4


@dataclass
class Sample:
    """Of one recovery: its bytes, and the 99th percentile of a client's writes without it (before and after) and meanwhile, in microseconds;
    and how much of the processors the host gave to others meanwhile, in per cent."""

    seconds: float
    fetched: int
    calm: float
    busy: float
    stolen: float

    @property
    def slower(self):
        return self.busy / self.calm if self.calm else 0


def change(cluster, block):
    """Overwrites CHANGED bytes through the first sheep, spread over the volume, and flushes."""
    subprocess.run(
        ["fio", "--name=change", "--ioengine=nbd", f"--uri={cluster.sheep[0].unix('bench')}", f"--bs={block}",
         "--rw=randwrite" if block == "4k" else "--rw=write", "--iodepth=32", f"--size={SIZE}", f"--io_size={CHANGED}",
         "--end_fsync=1", "--output-format=json"], check=True, capture_output=True, timeout=120)


class Client:
    """A steady client of another volume; its latencies are those of whoever does not care about recovery."""

    def __init__(self, cluster):
        self.command = [sys.executable, str(Path(__file__).with_name("steady_client.py")), cluster.sheep[0].unix("client"), str(CLIENT_SIZE), str(PACE)]
        self.samples = []

    def __enter__(self):
        self.output = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(self.command, stdout=self.output)
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.stop()
        self.output.close()

    def stop(self):
        """Ends it, and takes what it measured."""
        if self.process.poll() is not None:
            raise RuntimeError(f"the client ended by itself with {self.process.returncode}")
        self.process.terminate()
        self.process.wait()
        self.output.seek(0)
        # Its last line may be cut.
        self.samples = [tuple(map(float, line.split())) for line in self.output.read().splitlines()[:-1]]

    def latencies(self, since, until):
        """In microseconds, of writes begun in that time."""
        return [1e6 * latency for started, latency in self.samples if since <= started < until]


def tail(latencies):
    """The 99th percentile."""
    return sorted(latencies)[min(len(latencies) - 1, len(latencies) * 99 // 100)] if latencies else 0


class Stolen:
    """What the host took of the processors' time since it was made."""

    def __init__(self):
        self.before = self.read()

    @staticmethod
    def read():
        with open("/proc/stat") as file:
            return [int(field) for field in file.readline().split()[1:9]]

    @property
    def percent(self):
        spent = [after - before for before, after in zip(self.before, self.read())]
        return 100 * spent[7] / max(1, sum(spent))


def fetched(sheep):
    """What the log of the sheep says of its last recovery, in bytes."""
    lines = [line for line in sheep.log.read_text().splitlines() if "in sync again" in line]
    return int(lines[-1].split(" objects and ")[1].split()[0]) if lines else 0


def timed(cluster, sheep, start):
    """Seconds from the start of the process to the last group in sync. The sheep's log tells when; what asks the cluster takes some of the
    processors' time, and does so afterwards."""
    def times_in_sync():
        return sheep.log.read_text().count("in sync again") if sheep.log.exists() else 0
    known, started = times_in_sync(), time.monotonic()
    start()
    while time.monotonic() - started < 300:
        if times_in_sync() > known:
            ended = time.monotonic()
            if cluster.information()["redundancy"]["degradedGroups"] == 0:
                return ended - started
            # It has more to copy, or another sheep has.
            time.sleep(0.5)
        time.sleep(0.02)
    raise RuntimeError("the recovery did not end within 300 s")


def sample(cluster, sheep, start, beside_client):
    """Of the recovery that `start` begins and `sheep` tells the end of."""
    if not beside_client:
        stolen = Stolen()
        return Sample(timed(cluster, sheep, start), fetched(sheep), 0, 0, stolen.percent)
    with Client(cluster) as client:
        time.sleep(1 + CALM)
        began = time.monotonic()
        stolen = Stolen()
        seconds = timed(cluster, sheep, start)
        ended, stolen = began + seconds, stolen.percent
        # The disk comes to rest: what was fetched was synced, but what clients and logs wrote after that was not.
        os.sync()
        rested = time.monotonic()
        time.sleep(CALM)
        client.stop()
        calm = client.latencies(began - CALM, began) + client.latencies(rested, rested + CALM)
        return Sample(seconds, fetched(sheep), tail(calm), tail(client.latencies(began, ended)), stolen)


def returning(cluster, block):
    sheep = cluster.sheep[2]
    sheep.kill()
    change(cluster, block)
    return sample(cluster, sheep, sheep.start, True)


def empty(cluster, beside_client):
    """A removed sheep's share goes to a fresh one in its place."""
    gone = next(sheep for sheep in reversed(cluster.sheep) if sheep.is_running())
    number = cluster.number(gone)
    gone.kill()
    cluster.dog("node", "remove", str(number))
    return sample(cluster, NextSheep(cluster), cluster.add, beside_client)


class NextSheep:
    """The sheep that will be added next; what is asked of it is its log."""

    def __init__(self, cluster):
        self.log = cluster.directory / f"sheep{len(cluster.sheep)}.log"


ACTS = {
    "returning after 100 MiB of changes, 1 MiB each": lambda cluster: returning(cluster, "1M"),
    "returning after 100 MiB of changes, 4 KiB each": lambda cluster: returning(cluster, "4k"),
    "an empty one in the place of a removed one, while nobody writes": lambda cluster: empty(cluster, False),
    "an empty one in the place of a removed one": lambda cluster: empty(cluster, True),
}


def fill(cluster, name, size):
    cluster.dog("vdi", "create", name, str(size))
    subprocess.run(
        ["fio", "--name=fill", "--ioengine=nbd", f"--uri={cluster.sheep[0].unix(name)}", "--bs=1M", "--rw=write", "--iodepth=4",
         f"--size={size}", "--end_fsync=1"], check=True, capture_output=True, timeout=120)


def measure(directory, rounds):
    """{title: [Sample]}"""
    samples = {title: [] for title in ACTS}
    for number in range(rounds):
        with Cluster(directory / f"recovery-{number}", 3) as cluster:
            cluster.start(3)
            fill(cluster, "bench", SIZE)
            fill(cluster, "client", CLIENT_SIZE)
            for title, act in ACTS.items():
                seen = act(cluster)
                samples[title].append(seen)
                print(f"recovery, {title}: {seen.seconds:.1f} s, {seen.fetched / MiB:,.0f} MiB fetched, "
                      f"client p99 {seen.calm:,.0f} and {seen.busy:,.0f} µs, {seen.stolen:.0f} % stolen", flush=True)
    return samples


def recovery_section(directory, quick):
    """Measures, and returns the section's text."""
    rows = []
    for title, samples in measure(directory, 1 if quick else 5).items():
        def middle(name, unit):
            values = [getattr(one, name) for one in samples]
            digits = 0 if max(values) >= 100 else 1
            return f"{statistics.median(values):,.{digits}f}{unit} ({min(values):,.{digits}f} – {max(values):,.{digits}f})" if any(values) else "-"
        fetched_bytes, seconds = (statistics.median(getattr(one, name) for one in samples) for name in ("fetched", "seconds"))
        rows.append([
            title, middle("seconds", " s"), f"{fetched_bytes / MiB:,.0f} MiB", f"{fetched_bytes / MiB / seconds:,.0f} MiB/s",
            middle("calm", " µs"), middle("busy", " µs"), middle("slower", ""), middle("stolen", " %")])
    note = f"""Three sheep with three copies of 1 GiB and of 256 MiB, which a client writes to all the while: {PACE} random writes of 4 KiB a second, one at
a time. The time is from the start of the process to the last group in sync; for an empty sheep it holds two seconds in which joins
are gathered into one epoch. The client's p99 without recovery is of {CALM} s before and {CALM} s after; the ratio is the median of the rounds' own.
Medians, and in brackets the least and the most. The last column is the part of the processors' time that the host gave to others meanwhile:
where it is high, the host has a part in all else of the row. The original takes a returning node back in 8-20 s and fills an empty one with 1 GiB in 5-8 s."""
    return f"## Recovery: until all copies are there again\n\n{note}\n\n" + table(
        ["a sheep", "time", "fetched", "rate", "client's p99 without", "and meanwhile", "ratio", "stolen"], rows)
