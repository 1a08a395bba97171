"""libiscsi's conformance suite: tgt passes with a volume behind it whatever it passes with a file"""

import subprocess

from acceptance import MiB, check
from tgt import Tgt, unix_store

SHEEP, COPIES, LIMIT = 3, 3, 400


def scenario(bed):
    tgt = Tgt(bed)
    size = 64 * MiB
    file = bed.directory / "file"
    with open(file, "wb") as handle:
        handle.truncate(size)
    bed.create("suite", size)
    wanted = failures(tgt.export("file", file, kind="rdwr"))
    found = failures(tgt.export("volume", unix_store(bed.sheep[0], "suite")))
    check(found <= wanted, f"fail with a volume and not with a file: {sorted(found - wanted)}")
    bed.dog("vdi", "check", "suite")


def failures(uri):
    """The tests that fail, by suite and name. Some fail with any store, for tgt itself lacks what they ask for."""
    result = subprocess.run(
        ["iscsi-test-cu", "--dataloss", "--test=ALL", uri], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=180)
    suite, failed, count = "", set(), 0
    for line in result.stdout.splitlines():
        words = line.split()
        if words[:1] == ["Suite:"]:
            suite = words[1]
        if words[:1] == ["Test:"]:
            count, name = count + 1, words[1]
            if line.rstrip().endswith("FAILED") or "[FAILED]" in line:
                failed.add(f"{suite} {name}")
        elif line.strip() == "FAILED":
            failed.add(f"{suite} {name}")
    check(count > 200, f"iscsi-test-cu came to {count} tests and said: {result.stdout[-1000:]}{result.stderr[-1000:]}")
    print(f"{uri}: {count - len(failed)} of {count} passed")
    return failed
