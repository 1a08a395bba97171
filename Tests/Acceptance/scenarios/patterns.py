"""qemu-io patterns: odd offsets, object boundaries, zeroes, discards, snapshots underneath"""

from acceptance import MiB, check

SHEEP, COPIES = 3, 3

# Objects are 4 MiB: these ranges begin and end beside, on and across their boundaries, and at odd sectors.
WRITES = [(0x11, 0, 512), (0x22, 4 * MiB - 512, 1024), (0x33, 7 * MiB + 1536, 9 * MiB), (0x44, 30 * MiB - 4096, 4096)]


def scenario(bed):
    bed.create("patterns", 32 * MiB)
    first, second = bed.sheep[0].unix("patterns"), bed.sheep[1].tcp("patterns")
    bed.qemu_io(first, "read -P 0 0 32M")
    bed.qemu_io(first, *(f"write -P {byte:#x} {start} {length}" for byte, start, length in WRITES), "flush")
    reads_written(bed, second)
    zeroes_and_discards(bed, first, second)
    bed.dog("vdi", "snapshot", "-s", "before", "patterns")
    overwrites_above_snapshot(bed, first, second)


def reads_written(bed, uri):
    bed.qemu_io(uri, *(f"read -P {byte:#x} {start} {length}" for byte, start, length in WRITES))
    bed.qemu_io(uri, f"read -P 0 512 {4 * MiB - 1024}", f"read -P 0 {16 * MiB + 1536} {2 * MiB}")


def zeroes_and_discards(bed, writer, reader):
    bed.qemu_io(writer, "write -z 8M 1M", "write -z -u 10M 64k", "discard 12M 4M", "write -f -P 0x55 9M 4k")
    bed.qemu_io(
        reader, "read -P 0 8M 1M", "read -P 0 10M 64k", "read -P 0 12M 4M", "read -P 0x55 9M 4k",
        f"read -P 0x33 {9 * MiB + 4096} 4k", f"read -P 0x33 {16 * MiB} 1536")


def overwrites_above_snapshot(bed, writer, reader):
    bed.qemu_io(writer, f"write -P 0x66 {8 * MiB + 512} 512", "discard 0 4M")
    bed.qemu_io(reader, f"read -P 0x66 {8 * MiB + 512} 512", f"read -P 0 {8 * MiB + 1024} 4k", "read -P 0 0 4M")
    bed.dog("vdi", "clone", "-s", "before", "patterns", "clone")
    bed.qemu_io(bed.sheep[2].tcp("clone"), "read -P 0x11 0 512", f"read -P 0 {8 * MiB + 512} 512")
    check(len([v for v in bed.cluster.volumes() if v.name == "patterns"]) == 2, "a volume and its snapshot were to be listed")
