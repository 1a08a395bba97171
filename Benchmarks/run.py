#!/usr/bin/python3
"""Measures our servers beside others and writes docs/benchmarks.md. `make bench` runs it.

QUICK=1        two rounds of one second: under 5 minutes, shows that it works; prints, does not write docs/benchmarks.md
ROUNDS=N       (5)
BENCH_DIR=DIR  where the data goes while it runs, about 30 GB (/var/tmp)
"""

import os
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY / "Tests/Support"), str(REPOSITORY / "Benchmarks")]

import report  # noqa: E402
from cluster import binaries  # noqa: E402
from measuring import copy_in  # noqa: E402
from questions import all_questions  # noqa: E402
from recovery_section import recovery_section  # noqa: E402
from takeover_section import takeover_section  # noqa: E402
from subjects import SIZE, BareRelay, SheepServer, bare_passthrough, fill, nbdkit_file, qemu_nbd, sheepfs, tgt_bare_store, tgt_file, tgt_volume  # noqa: E402

# After this time each remaining question gets one round, so that the whole stays under 25 minutes.
HURRY_AFTER = 20 * 60
SPACE_NEEDED = 30 << 30


def start_subjects(directory, subjects):
    """Adds each as it comes up, so that the caller can end those that did."""
    for make in (
        lambda: qemu_nbd(directory),
        lambda: nbdkit_file(directory),
        lambda: SheepServer("one copy", "one sheep, one copy", directory, 1),
        lambda: SheepServer("three copies", "three sheep, three copies", directory, 3),
        lambda: BareRelay("bare relay", "our program of Benchmarks/BareRelay: three processes that pwrite, nothing else", directory, False),
        lambda: bare_passthrough(directory, False),
        lambda: bare_passthrough(directory, True),
        lambda: sheepfs(directory, subjects["one copy"], False),
        lambda: sheepfs(directory, subjects["one copy"], True),
        lambda: tgt_file(directory),
        lambda: tgt_file(directory, threads=4),
        lambda: tgt_volume(subjects["one copy"]),
        lambda: tgt_volume(subjects["one copy"], threads=4),
        lambda: tgt_bare_store(directory, subjects["one copy"]),
        lambda: BareRelay("bare relay, synced", "the same with an fdatasync for each received burst", directory, True),
    ):
        subject = make()
        subjects[subject.name] = subject
        print(f"started {subject.name}", flush=True)


def precondition(subjects, source):
    """All volumes and files hold the same, so that reads read and writes overwrite."""
    for name in ("qemu-nbd", "nbdkit file", "one copy", "three copies"):
        copy_in(source).run(subjects[name])
    for name in ("qemu-nbd", "nbdkit file", "one copy"):
        subjects[name].create_sparse()


def ask(question, rounds, started):
    for number in range(rounds):
        if number and time.monotonic() - started > HURRY_AFTER:
            break
        for subject in question.subjects:
            if question.before:
                question.before(subject)
            question.samples.setdefault(subject, []).append(question.client.run(subject))
            if question.after:
                question.after(subject)
    for subject in question.subjects:
        middle = report.median(question.samples[subject], "rate")
        print(f"{question.title}: {subject.name} {report.rate(middle, question.client.unit)}", flush=True)


def measure(directory, quick):
    rounds, seconds = (2, 1) if quick else (int(os.environ.get("ROUNDS") or 5), 3)
    subjects, ended = {}, []
    started = time.monotonic()
    try:
        source = directory / "source"
        fill(source, SIZE)
        start_subjects(directory, subjects)
        precondition(subjects, source)
        questions = all_questions(subjects, seconds, source)
        for question in questions:
            ask(question, rounds, started)
        target = directory / "benchmarks.md" if quick else REPOSITORY / "docs/benchmarks.md"
        target.parent.mkdir(exist_ok=True)
        while subjects:
            ended.append(subjects.popitem()[1])
            ended[-1].close()
        sections, failures = [], []
        for section in (lambda: takeover_section(quick), lambda: recovery_section(directory, quick)):
            # What was measured until then is written all the same.
            try:
                sections.append(section())
            except Exception as error:
                traceback.print_exc()
                failures.append(str(error))
        report.write(target, questions, ended[::-1], rounds, seconds, directory, *sections)
        print(target.read_text() if quick else f"wrote {target}")
        if failures:
            sys.exit(f"Sections are missing: {'; '.join(failures)}")
    finally:
        for subject in reversed(subjects.values()):
            subject.close()
    print(f"took {(time.monotonic() - started) / 60:.0f} minutes")


def main():
    if sys.argv[1:]:
        print(__doc__.strip())
        sys.exit(0 if sys.argv[1] in ("-h", "--help") else 2)
    for program in ("sheep", "dog", "sheepfs", "bare-relay", "bare-passthrough", "bare-store"):
        if not (binaries() / program).exists():
            sys.exit(f"There is no {program} in {binaries()}: run `make build` first.")
    base = os.environ.get("BENCH_DIR") or "/var/tmp"
    if shutil.disk_usage(base).free < SPACE_NEEDED:
        sys.exit(f"{base} has less than {SPACE_NEEDED >> 30} GiB free: set BENCH_DIR to a directory that has.")
    directory = Path(tempfile.mkdtemp(prefix="sheepdog-bench-", dir=base)).resolve()
    try:
        measure(directory, bool(os.environ.get("QUICK")))
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
