"""dog imports a file as a volume and exports it again; holes take no space"""

from acceptance import MiB, check, checksum

SHEEP, COPIES = 3, 3


def scenario(bed):
    source = bed.random_file("source", 24 * MiB)
    with open(source, "r+b") as file:
        file.truncate(200 * MiB)
        file.seek(150 * MiB)
        file.write(b"behind the hole")
    bed.dog("vdi", "import", str(source), "imported")
    check(bed.cluster.volume("imported").size == 200 * MiB, "the volume has another size than the file")
    used = bed.cluster.volume("imported").used
    check(used <= 40 * MiB, f"{used} bytes used for a file with 24 MiB of data")
    target = bed.directory / "target"
    bed.dog("vdi", "export", "imported", str(target))
    check(checksum(target) == checksum(source), "the exported file differs from the imported one")
