"""what was acknowledged is served, or nothing is: below the minimum writes wait, and a copy that missed writes opens nothing"""

from acceptance import MiB, check
from contents import Contents, connect, refused
from doors import wait_down
from sheep import kill_all, start_all
from waiting import wait_until

SHEEP, COPIES, LIMIT = 3, 3, 240
TIMEOUT = 4
SHEEP_OPTIONS = ("--io-timeout", str(TIMEOUT))


def scenario(bed):
    contents = Contents(bed)
    contents.create("volume", 16 * MiB, 3)
    contents.write(bed.sheep[0], "volume", 0, 16 * MiB)
    two_killed(bed, contents)
    the_stale_one_alone(bed, contents)


def two_killed(bed, contents):
    """One of three copies is below the minimum of two: it acknowledges nothing, and says what it waits for."""
    survivor, others = bed.sheep[0], bed.sheep[1:]
    kill_all(*others)
    for sheep in others:
        wait_down(bed, sheep)
    handle = connect(survivor, "volume")
    wanted = contents.exports["volume"]
    check(handle.pread(MiB, 0) == wanted[:MiB], "what was acknowledged is not served by the copy that is left")
    refused(lambda: handle.pwrite(b"x" * 4096, 5 * MiB), "a write below the minimum of copies")
    information = bed.dog("cluster", "info", through=survivor)
    check("Warning" in information and "too few copies" in information, f"`dog cluster info` does not say that writes wait:\n{information}")
    named(bed, survivor, others)
    handle.shutdown()
    start_all(*others)
    bed.cluster.wait_recovered()
    contents.whole_or_not_at_all(bed.sheep[0], "volume", 5 * MiB, b"x" * 4096)
    contents.verify()
    contents.write(survivor, "volume", 5 * MiB, MiB)


def the_stale_one_alone(bed, contents):
    """It was killed first; the others wrote on and are killed. It serves nothing until they are back, whose data wins."""
    stale, newer = bed.sheep[2], bed.sheep[:2]
    stale.kill()
    wait_down(bed, stale)
    contents.write(newer[1], "volume", 2 * MiB, 6 * MiB)
    kill_all(*newer)
    start_all(stale)
    wait_until(lambda: bed.cluster.node_state(stale, stale) is not None, "the stale sheep answers")
    refused(lambda: connect(stale, "volume").pread(4096, 3 * MiB), "a read of a copy that missed writes")
    refused(lambda: connect(stale, "volume").pwrite(b"y" * 4096, 3 * MiB), "a write to a copy that missed writes")
    named(bed, stale, newer)
    status = bed.cluster.status(stale)
    check("Waiting for other nodes" in status, f"`dog cluster info` says {status!r}")
    start_all(*newer)
    bed.cluster.wait_recovered()
    contents.whole_or_not_at_all(bed.sheep[0], "volume", 3 * MiB, b"y" * 4096)
    contents.verify()
    bed.dog("cluster", "check")


def named(bed, sheep, awaited):
    """`dog cluster info` names one of those who are waited for."""
    waiting = bed.cluster.information(sheep)["waitingFor"]
    check(any(str(s.port) in text for text in waiting for s in awaited), f"`dog cluster info` waits for {waiting}, and not for one of {awaited}")
