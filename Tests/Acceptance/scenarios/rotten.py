"""bytes flipped, files gone and cut off in one sheep's store, its catalogue truncated: reads are right, a check repairs, the next finds nothing"""

import json
import os
import signal

from acceptance import MiB, check
from contents import Contents

SHEEP, COPIES, LIMIT = 3, 3, 180


def scenario(bed):
    contents = Contents(bed)
    contents.create("volume", 24 * MiB, 3)
    contents.write(bed.sheep[0], "volume", 0, 24 * MiB)
    contents.snapshot("volume", "before")
    contents.write(bed.sheep[0], "volume", 3 * MiB, 6 * MiB)
    running(bed, contents)
    stopped(bed, contents)
    metadata(bed, contents)


def files(sheep):
    return sorted(path for path in sheep.store.glob("objects/*/*") if path.stat().st_size > 0)


def flip(path, offset, count=16):
    with open(path, "r+b") as file:
        file.seek(offset)
        data = file.read(count)
        file.seek(offset)
        file.write(bytes(byte ^ 0xFF for byte in data))
        file.flush()
        os.fsync(file.fileno())


def repaired(bed, contents, least, what):
    """All doors give the right bytes; one check makes everything good, the next finds nothing to do."""
    contents.verify()
    first = json.loads(bed.dog("vdi", "check", "--json", "volume"))
    damaged = bed.information_scrub()
    check(first["lost"] == 0 and first["verified"] == first["objects"], f"{what}: {first}")
    check(first["repaired"] + damaged["repairedBlocks"] >= least, f"{what}: only {first['repaired']} copies were repaired: {damaged}")
    second = bed.dog("vdi", "check", "volume")
    check(", 0 repaired, 0 lost" in second, f"{what}: a second check says {second!r}")
    check("every object verified: " in second, f"the check does not say that every object was verified: {second!r}")
    contents.verify()


def running(bed, contents):
    """In the data of objects that the sheep has open, of the volume and of its snapshot."""
    for path in files(bed.sheep[1])[::3]:
        flip(path, 8192)
        flip(path, 1 * MiB - 4096)
    repaired(bed, contents, 8, "bytes flipped under a running sheep")


def stopped(bed, contents):
    """Data, headers, checksum tables, whole files, while the sheep is away."""
    sheep = bed.sheep[1]
    sheep.signal(signal.SIGTERM)
    sheep.wait_ended()
    paths = files(sheep)
    for path in paths[0:4]:
        flip(path, 40960)
    for path in paths[4:6]:
        flip(path, 1 * MiB + 8)
    for path in paths[6:8]:
        flip(path, 1 * MiB + 4096 + 100)
    for path in paths[8:10]:
        path.unlink()
    os.truncate(paths[10], 300_000)
    sheep.start()
    sheep.wait_listening()
    bed.cluster.wait_recovered()
    repaired(bed, contents, 11, "a store damaged while its sheep was stopped")


def metadata(bed, contents):
    """A sheep that cannot tell what it has does not start; told so, it begins with nothing and copies its share."""
    sheep = bed.sheep[2]
    sheep.signal(signal.SIGTERM)
    sheep.wait_ended()
    catalogue = sheep.store / "catalogue"
    os.truncate(catalogue, catalogue.stat().st_size // 2)
    sheep.start()
    sheep.wait_ended()
    check("--rebuild" in sheep.log_tail(), f"the sheep does not say what to do:\n{sheep.log_tail()}")
    sheep.extra_options = [*sheep.extra_options, "--rebuild"]
    sheep.start()
    sheep.wait_listening()
    bed.cluster.wait_placed(bed.sheep)
    bed.cluster.wait_complete()
    bed.cluster.wait_recovered()
    contents.verify()
    contents.wait_placed()
    second = bed.dog("vdi", "check", "volume")
    check(", 0 repaired, 0 lost" in second, f"after a store was made anew a check says {second!r}")
