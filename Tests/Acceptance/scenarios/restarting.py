"""everything is there again after an orderly shutdown, and after every sheep was killed at once"""

from acceptance import MiB, check, checksum

SHEEP, COPIES, LIMIT = 3, 3, 180


def scenario(bed):
    source = bed.random_file("source", 64 * MiB)
    bed.create("kept", 64 * MiB)
    bed.run("nbdcopy", "--flush", source, bed.sheep[0].unix("kept"))
    bed.dog("vdi", "snapshot", "-s", "first", "kept")
    before = volumes(bed)
    bed.cluster.shutdown()
    bed.cluster.restart()
    is_as_before(bed, source, before)
    bed.cluster.kill()
    bed.cluster.restart()
    is_as_before(bed, source, before)
    bed.qemu_io(bed.sheep[2].unix("kept"), "write -P 0x77 1M 64k", "flush", "read -P 0x77 1M 64k")


def volumes(bed):
    return sorted((volume.name, volume.flag, volume.size) for volume in bed.cluster.volumes())


def is_as_before(bed, source, before):
    check(volumes(bed) == before, f"volumes were {before} and are {volumes(bed)}")
    for sheep in bed.sheep:
        target = bed.directory / "target"
        bed.run("nbdcopy", sheep.unix("kept"), target)
        check(checksum(target) == checksum(source), f"other data behind sheep {sheep.number}")
        target.unlink()
    bed.dog("vdi", "check", "kept")
