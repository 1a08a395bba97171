"""docs/benchmarks.md: a table for each question, with the command that made it."""

import os
import platform
import shlex
import statistics
import time
from pathlib import Path

from cluster import binaries


def rate(value, unit):
    if unit == "bytes/s":
        return f"{value / 1e6:,.0f} MB/s"
    return f"{value:,.0f}/s"


def microseconds(value):
    return "" if value is None else f"{value:,.0f} µs"


def mebibytes(value):
    return f"{value / (1 << 20):,.1f} MiB"


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|---" * len(header) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def median(samples, attribute):
    values = [getattr(sample, attribute) for sample in samples]
    return None if None in values else statistics.median(values)


def cpu_per_operation(samples):
    """Microseconds of processor time of all the server's processes, for each operation; for copies, for each MiB."""
    return statistics.median(1e6 * sample.server_seconds / max(1, sample.operations) for sample in samples)


def question_section(question, without_paths):
    reference = median(question.samples[question.subjects[0]], "rate")
    rows = []
    for subject in question.subjects:
        samples = question.samples[subject]
        rates = [sample.rate for sample in samples]
        rows.append([
            subject.name, rate(statistics.median(rates), question.client.unit),
            f"{rate(min(rates), question.client.unit)} – {rate(max(rates), question.client.unit)}",
            f"{statistics.median(rates) / reference:.2f}",
            f"{microseconds(median(samples, 'median_latency'))}", f"{microseconds(median(samples, 'tail_latency'))}",
            f"{cpu_per_operation(samples):,.1f} µs", mebibytes(max(sample.resident_bytes for sample in samples)),
        ])
    per = "MiB" if question.client.unit == "bytes/s" else "operation"
    header = ["", "median", "range", "ratio", "p50", "p99", f"server CPU per {per}", "RSS under load"]
    command = without_paths(shlex.join(map(str, question.client.command(question.subjects[-1]))))
    parts = [f"## {question.title}", question.note, table(header, rows), f"```\n{command}\n```"]
    return "\n\n".join(part for part in parts if part)


def memory_section(subjects):
    rows = [[s.name, mebibytes(s.idle_bytes), str(len(s.pids()))] for s in subjects]
    return "## Memory when idle\n\n" + table(["", "RSS of all processes", "processes"], rows)


def machine(directory):
    """General facts alone: no names of hosts, paths or people."""
    cpu = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), platform.machine())
    memory = int(next(line.split()[1] for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal")))
    kernel = ".".join(platform.release().split("-")[0].split(".")[:2])
    return (f"{os.cpu_count()} cores ({cpu}), {memory / (1 << 20):.0f} GiB of memory, Linux {kernel}, "
            f"all data on one {file_system(directory)} file system")


def file_system(directory):
    """The type of the longest mount point that holds the directory."""
    best = ("", "?")
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, point, kind = line.split()[:3]
        if (str(directory) + "/").startswith(point.rstrip("/") + "/") and len(point) >= len(best[0]):
            best = (point, kind)
    return best[1]


def write(path, questions, subjects, rounds, seconds, directory, *more_sections):
    def without_paths(command):
        return command.replace(str(directory), "DIR").replace(str(binaries()), ".build/release")

    names = "\n".join(f"- **{s.name}**: {s.note}." for s in subjects)
    head = f"""# Benchmarks

Made by `make bench` on {time.strftime('%Y-%m-%d')}: {machine(directory)}.

{(Path(__file__).parent / 'aims.md').read_text()}
{names}

Every client uses a unix socket on the same machine and shares its cores. Volumes of 1 GiB were written whole before. Rounds are
interleaved (A B C, A B C, …) with a `sync` before each run: {rounds} rounds of {seconds} s. "Ratio" relates to the first row. Server CPU is
user and system time of all of a server's processes. The command under a table is the last row's.
"""
    sections = [question_section(q, without_paths) for q in questions if q.samples]
    path.write_text("\n".join([head, "\n\n".join([*sections, *more_sections, memory_section(subjects)]), ""]))
