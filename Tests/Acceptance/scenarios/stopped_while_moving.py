"""the whole cluster is killed, or shut down, while objects move to new members; it goes on where it was"""

from acceptance import MiB, check
from contents import Contents

SHEEP, COPIES, LIMIT, FULL_ONLY = 3, 3, 400, True
SIZE = 48 * MiB


def scenario(bed):
    contents = Contents(bed)
    for copies in (1, 2, 3):
        contents.create(f"v{copies}", SIZE, copies)
        contents.write(bed.sheep[0], f"v{copies}", 0, SIZE)
    contents.snapshot("v3", "first")
    contents.write(bed.sheep[1], "v3", 3 * MiB + 4096, 20 * MiB)
    for stop, change in ((killed, join), (shut_down, join), (killed, leave), (killed, join)):
        expected = change(bed)
        bed.cluster.wait_placed(expected)
        moving = bed.dog("node", "recovery", "-r").strip()
        stop(bed)
        print(f"{stop.__name__} while these recovered: {moving or 'none'}", flush=True)
        bed.cluster.start()
        bed.cluster.wait_running()
        # Written while it goes on.
        contents.write(bed.sheep[0], "v3", 10 * MiB, 8 * MiB)
        bed.cluster.wait_placed(bed.sheep)
        bed.cluster.wait_complete()
        contents.wait_placed()
        contents.verify()
        bed.dog("cluster", "check")


def join(bed):
    bed.cluster.add()
    return bed.sheep


def leave(bed):
    """The sheep that leaves starts again with the others, and is a member again."""
    leaver = bed.sheep[3]
    bed.dog("node", "remove", str(bed.cluster.number(leaver)))
    return [s for s in bed.sheep if s is not leaver]


def killed(bed):
    bed.cluster.kill()


def shut_down(bed):
    bed.cluster.shutdown()
    check(not any(s.is_running() for s in bed.sheep), "a sheep runs after a shutdown")
