"""qemu-img converts a qcow2 image into a volume, and finds them equal"""

from acceptance import MiB

SHEEP, COPIES = 3, 3


def scenario(bed):
    raw = bed.random_file("raw", 32 * MiB)
    image = bed.directory / "image.qcow2"
    bed.run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, image)
    bed.run("qemu-img", "resize", image, "300M")
    bed.run("qemu-io", "-f", "qcow2", "-c", "write -P 0x5a 255M 3M", image)
    bed.create("converted", 300 * MiB)
    uri = bed.sheep[0].unix("converted")
    bed.run("qemu-img", "convert", "-n", "-f", "qcow2", "-O", "raw", image, uri)
    bed.run("qemu-img", "compare", "-f", "qcow2", "-F", "raw", image, uri)
    bed.run("qemu-img", "compare", "-f", "qcow2", "-F", "raw", image, bed.sheep[1].tcp("converted"))
