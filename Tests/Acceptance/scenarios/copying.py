"""nbdcopy brings random data in and out again, over several connections and through several sheep"""

from acceptance import GiB, MiB, check, checksum

SHEEP, COPIES, LIMIT = 3, 3, 180


def scenario(bed):
    size = GiB if bed.full else 256 * MiB
    source = bed.random_file("source", size)
    bed.create("copied", size)
    bed.run("nbdcopy", "--flush", "--connections=4", source, bed.sheep[0].tcp("copied"))
    wanted = checksum(source)
    for uri in (bed.sheep[0].unix("copied"), bed.sheep[2].tcp("copied")):
        target = bed.directory / "target"
        bed.run("nbdcopy", "--connections=4", uri, target)
        check(checksum(target) == wanted, f"other data came back through {uri}")
        target.unlink()
