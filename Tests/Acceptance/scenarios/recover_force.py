"""the sheep with the newest copies never return: `dog cluster recover force` goes on with older ones, with all of them and nothing else"""

import json
import os
import subprocess

from acceptance import MiB, check
from contents import Contents, connect, refused
from doors import wait_down
from sheep import kill_all, start_all
from waiting import wait_until

SHEEP, COPIES, LIMIT = 3, 3, 300
TIMEOUT = 4
SHEEP_OPTIONS = ("--io-timeout", str(TIMEOUT))
FORCE = ("cluster", "recover", "force")


def scenario(bed):
    contents = Contents(bed)
    contents.create("volume", 16 * MiB, 3)
    contents.write(bed.sheep[0], "volume", 0, 8 * MiB)
    check("Nothing waits" in bed.dog(*FORCE), "something waits in a cluster that runs")
    they_return(bed, contents)
    they_are_removed(bed, contents)


def left_behind(bed, contents, stale):
    """It is killed, the others write on, snapshot and make a volume, are killed, and it is started alone. Returns what it has."""
    newer = [s for s in bed.sheep if s is not stale]
    has = {name: bytearray(data) for name, data in contents.exports.items()}
    stale.kill()
    wait_down(bed, stale)
    contents.write(newer[0], "volume", 2 * MiB, 10 * MiB)
    number = len(contents.exports)
    contents.snapshot("volume", f"between{number}")
    contents.write(newer[1], "volume", 5 * MiB, 6 * MiB)
    contents.create(f"later{number}", 4 * MiB, 3)
    contents.write(newer[0], f"later{number}", MiB, MiB)
    kill_all(*newer)
    start_all(stale)
    wait_until(lambda: bed.cluster.node_state(stale, stale) == "syncing", "the stale sheep has joined")
    has[f"volume@between{number}"] = bytearray(has["volume"])
    has[f"later{number}"] = bytearray(4 * MiB)
    return newer, has


def they_return(bed, contents):
    """Without an answer nothing is done; then the stale copy is served, all of it; who returns gives its newer data up."""
    stale = bed.sheep[0]
    newer, has = left_behind(bed, contents, stale)
    refused(lambda: connect(stale, "volume").pread(4096, 3 * MiB), "a read of a copy that missed writes")
    check("dog cluster recover force" in bed.dog("cluster", "info"), "`dog cluster info` does not say how to go on")
    asked = bed.cluster.run_dog(*FORCE)
    check(asked.returncode == 1 and "-f" in asked.stderr, f"`dog cluster recover force` ended with {asked.returncode}: {asked.stderr}")
    named(asked.stdout, contents, newer)
    counted(bed, contents, newer)
    refused(lambda: connect(stale, "volume").pread(4096, 3 * MiB), "a read of a copy that missed writes, after a question,")

    named(bed.dog(*FORCE, "-f"), contents, newer)
    contents.exports = has
    contents.verify(stale)
    refused(lambda: connect(stale, "volume").pwrite(b"y" * 4096, 3 * MiB), "a write below the minimum of copies")
    waiting = bed.cluster.information()["waitingFor"]
    check(all(any(str(s.port) in text for text in waiting) for s in newer), f"`dog cluster info` waits for {waiting}")

    start_all(*newer)
    bed.cluster.wait_recovered()
    bed.cluster.wait_complete()
    contents.whole_or_not_at_all(bed.sheep[0], "volume", 3 * MiB, b"y" * 4096)
    contents.verify()
    bed.dog("cluster", "check")
    contents.write(newer[0], "volume", 7 * MiB, 4 * MiB)
    contents.wait_placed()
    contents.verify()


def they_are_removed(bed, contents):
    """The one that is left alone writes on as soon as the dead ones are removed; started again they are members like new ones."""
    stale = bed.sheep[2]
    newer, has = left_behind(bed, contents, stale)
    refused(lambda: connect(stale, "volume").pwrite(b"z" * 4096, MiB), "a write to a copy that missed writes")
    status, text = answered(bed, "no")
    check(status == 1 and "nothing was changed" in text, f"`dog cluster recover force` took a no for an answer: {text}")
    refused(lambda: connect(stale, "volume").pread(4096, 3 * MiB), "a read of a copy that missed writes, after a no,")
    status, text = answered(bed, "yes")
    check(status == 0, f"`dog cluster recover force` ended with {status}: {text}")
    contents.exports = has
    contents.verify(stale, names=[name for name in has if name != "volume"])
    for sheep in newer:
        bed.dog("node", "remove", str(bed.cluster.number(sheep)))
    bed.cluster.wait_placed([stale])
    # The write that failed holds its block until it is on enough copies.
    contents.whole_or_not_at_all(stale, "volume", MiB, b"z" * 4096)
    contents.verify(stale)
    contents.write(stale, "volume", 4 * MiB, 9 * MiB)
    contents.verify(stale)
    bed.dog("cluster", "check")

    start_all(*newer)
    bed.cluster.wait_placed(bed.sheep)
    bed.cluster.wait_recovered()
    bed.cluster.wait_complete()
    contents.verify()
    bed.dog("cluster", "check")
    contents.write(newer[1], "volume", 0, 16 * MiB)
    contents.wait_placed()
    contents.verify()


def named(text, contents, newer):
    """Who has newer copies, and every volume and snapshot."""
    for sheep in newer:
        check(f"127.0.0.1:{sheep.port} (down since entry" in text, f"sheep {sheep.number} is not named:\n{text}")
    for name in contents.exports:
        for word in name.split("@"):
            check(word in text, f"{name} is not named:\n{text}")
    check("65536 groups go back to an older copy" in text, f"what is lost is not told:\n{text}")


def counted(bed, contents, newer):
    result = bed.cluster.run_dog(*FORCE, "--json")
    check(result.returncode == 1, "a listing for programs changed something")
    risk = json.loads(result.stdout)
    check(sorted(node["port"] for node in risk["absent"]) == sorted(s.port for s in newer), f"absent: {risk['absent']}")
    check(risk["olderGroups"] == risk["waitingGroups"] == 65536, f"`dog cluster recover force --json` tells {risk}")
    wanted = {name: len(data) // MiB for name, data in contents.exports.items()}
    found = {v["name"] + ("@" + v["tag"] if v["isSnapshot"] else ""): v["older"] for v in risk["volumes"]}
    check(found == wanted, f"objects that go back: {found}, and not {wanted}")


def answered(bed, answer):
    """The exit status and all that it says to somebody who sits at a terminal and answers so."""
    ours, theirs = os.openpty()
    try:
        os.write(ours, answer.encode() + b"\n")
        result = subprocess.run(
            bed.cluster.dog_command(*FORCE), stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    finally:
        os.close(ours)
        os.close(theirs)
    check("[yes/no]" in result.stdout, f"nothing was asked:\n{result.stdout}")
    return result.returncode, result.stdout
