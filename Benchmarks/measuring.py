"""One measurement: a client's command, what it counted, and what the server spent meanwhile."""

import json
import os
import re
import shlex
import subprocess
import time
from dataclasses import dataclass

from cluster import binaries
from subjects import SIZE, SPARSE_SIZE, MiB

CLIENT_LIMIT = 60


@dataclass
class Sample:
    """Of one run. Rates are operations or bytes a second; the latencies are in microseconds, or None."""

    rate: float
    operations: float
    median_latency: float = None
    tail_latency: float = None
    server_seconds: float = 0.0
    resident_bytes: int = 0


@dataclass
class Client:
    """A way to load a server. `command(subject)` is the words, `read(output, seconds)` makes a Sample of what was printed."""

    unit: str
    command: object
    read: object

    def run(self, subject):
        os.sync()  # what the one before left dirty is not this one's burden
        before, started = subject.cpu_seconds(), time.monotonic()
        words = [str(word) for word in self.command(subject)]
        result = subprocess.run(words, capture_output=True, text=True, timeout=CLIENT_LIMIT, stdin=subprocess.DEVNULL)
        elapsed = time.monotonic() - started
        if result.returncode != 0:
            raise RuntimeError(f"`{shlex.join(words)}` ended with {result.returncode}: {(result.stderr + result.stdout)[-1000:]}")
        sample = self.read(result.stdout, elapsed)
        sample.server_seconds = subject.cpu_seconds() - before
        sample.resident_bytes = subject.resident_bytes()
        return sample


def fio(direction, block, depth, seconds, *more):
    """fio's NBD engine."""
    side = "read" if direction.endswith("read") else "write"

    def command(subject):
        return ["fio", "--name=bench", "--ioengine=nbd", f"--uri={subject.uri('bench')}", f"--rw={direction}", f"--bs={block}",
                f"--iodepth={depth}", "--numjobs=1", f"--size={SIZE}", "--time_based", f"--runtime={seconds}",
                "--output-format=json", *more]

    def read(output, _):
        side_result = json.loads(output[output.index("{"):])["jobs"][0][side]
        percentile = side_result["clat_ns"].get("percentile", {})
        return Sample(
            rate=side_result["bw_bytes"] if block == "1M" else side_result["iops"], operations=side_result["total_ios"],
            median_latency=percentile.get("50.000000", 0) / 1000, tail_latency=percentile.get("99.000000", 0) / 1000)

    return Client("bytes/s" if block == "1M" else "operations/s", command, read)


def psync(direction, block, seconds):
    """fio's plain system calls on a file, one at a time."""
    client = fio(direction, block, 1, seconds)

    def command(subject):
        return ["fio", "--name=bench", "--ioengine=psync", f"--filename={subject.file}", f"--rw={direction}", f"--bs={block}",
                f"--size={SIZE}", "--time_based", f"--runtime={seconds}", "--output-format=json"]

    return Client(client.unit, command, client.read)


def load(direction, depth, seconds, volume="bench", fua=False):
    """Our own load generator: exact at depth 1, where fio's NBD engine can stall, and the same client for NBD and the bare relay."""
    size = SPARSE_SIZE if volume == "sparse" else SIZE

    def command(subject):
        export = subject.export(volume)
        words = [binaries() / "bare-relay", "load", "--connect", subject.socket(volume), "--depth", depth, "--seconds", seconds,
                 "--size", size]
        if export is not None:
            words += [f"--export={export}"] + (["--read"] if direction == "read" else []) + (["--fua"] if fua else [])
        return words

    def read(output, _):
        result = json.loads(output)
        microseconds = result["microseconds"]
        return Sample(result["rate"], result["operations"], microseconds["p50"], microseconds["p99"])

    return Client("operations/s", command, read)


def iscsi_perf(depth, seconds):
    """libiscsi's load generator: random reads of 4 KiB."""

    def command(subject):
        return ["iscsi-perf", "-r", "-b", 8, "-m", depth, "-t", seconds, subject.address]

    def read(output, _):
        rate = float(re.findall(r"iops average (\d+)", output)[-1])
        return Sample(rate, rate * seconds)

    return Client("operations/s", command, read)


def copy_in(source):
    def command(subject):
        return ["nbdcopy", "--flush", source, subject.uri("bench")]

    return Client("bytes/s", command, lambda _, seconds: Sample(SIZE / seconds, SIZE / MiB))


def copy_out():
    def command(subject):
        return ["nbdcopy", subject.uri("bench"), "null:"]

    return Client("bytes/s", command, lambda _, seconds: Sample(SIZE / seconds, SIZE / MiB))
