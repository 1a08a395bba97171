"""sheepfs: the tree, ext4 over loop with a big tree of files, fsck, fstrim, qemu-img, umount and SIGTERM leave nothing behind"""

import os
import signal
import subprocess
from pathlib import Path

import process
from acceptance import MiB, check, checksum
from cluster import binaries
from sheepfs_mount import Loop, Sheepfs, mounts
from waiting import wait_until

SHEEP, COPIES, LIMIT = 3, 3, 420

# As thin as its contents; a kernel's sources and their inodes fit.
SIZE = 3072 * MiB


def scenario(bed):
    bed.create("disk", SIZE)
    with Sheepfs(bed.directory, bed.sheep[0]) as fs:
        the_tree(bed, fs)
        with Loop(bed, fs.volume("disk"), bed.directory / "loop") as loop:
            file_system(bed, fs, loop)
        growing(bed, fs)
        sparse_copies(bed, fs)
        qemu(bed, fs)
        ended_by_umount(bed, fs)
    with Sheepfs(bed.directory, bed.sheep[1], "--auto-mount", "-k", name="cached") as fs:
        with Loop(bed, fs.volume("disk"), bed.directory / "loop") as loop:
            there_again(bed, loop)
        snapshots(bed, fs)
        ended_by_signal(bed, fs)
    in_the_background(bed)


def refused(number, body, what):
    try:
        body()
    except OSError as error:
        check(error.errno == number, f"{what}: {error}")
    else:
        check(False, f"{what} was not refused")


def the_tree(bed, fs):
    check(sorted(os.listdir(fs.path)) == ["cluster", "config", "http", "node", "vdi", "volume"], f"{os.listdir(fs.path)}")
    for name, command in (("cluster/info", ("cluster", "info")), ("node/list", ("node", "list")), ("vdi/list", ("vdi", "list"))):
        check(fs.read(name) == bed.dog(*command), f"{name} differs from dog's:\n{fs.read(name)}")
    check(fs.read("node/info").startswith("Id\tSize\tUsed"), fs.read("node/info"))
    check(fs.read("config/sheep_info") == f"127.0.0.1:{bed.sheep[0].port}\n", fs.read("config/sheep_info"))
    refused(2, lambda: fs.echo("nobody", "vdi/mount"), "mounting a volume that is not there")
    check(os.listdir(fs.path / "volume") == [], "a volume appeared by itself")
    fs.echo("disk", "vdi/mount")
    check(os.listdir(fs.path / "volume") == ["disk"], "the mounted volume is not there")
    check(os.stat(fs.volume("disk")).st_size == SIZE, "the volume's file has another size")


def sparse_copies(bed, fs):
    """cp and tar -S leave the holes out; df tells the cluster's space; what is deleted is listed no more."""
    bed.create("sparse", 64 * MiB)
    fs.echo("sparse", "vdi/mount")
    with open(fs.volume("sparse"), "r+b") as file:
        file.seek(20 * MiB)
        file.write(os.urandom(MiB))
    copy, archive = bed.directory / "copy", bed.directory / "copy.tar"
    bed.run("cp", fs.volume("sparse"), copy)
    bed.run("tar", "-cSf", archive, "-C", fs.path / "volume", "sparse")
    check(checksum(copy) == checksum(fs.volume("sparse")), "the copy differs")
    check(os.stat(copy).st_blocks * 512 < 16 * MiB, f"the copy takes {os.stat(copy).st_blocks} blocks")
    check(os.stat(archive).st_size < 16 * MiB, f"the archive has {os.stat(archive).st_size} bytes")
    space, total = os.statvfs(fs.path), bed.dog("node", "info", "-r").split("Total ")[1].split()
    # What else is on the disk changes it.
    check(0.9 < space.f_blocks * 4096 / int(total[0]) < 1.1, f"df tells {space.f_blocks * 4096} bytes, node info {total[0]}")
    check(0 < space.f_bavail < space.f_blocks, f"{space.f_bavail} blocks are free")
    # The kernel gives a closed file back a moment later.
    wait_until(lambda: bed.cluster.run_dog("vdi", "delete", "sparse", through=bed.sheep[0]).returncode == 0, "nobody uses it")
    check(os.listdir(fs.path / "volume") == ["disk"], f"volumes are {os.listdir(fs.path / 'volume')}")


def sums(directory):
    """The checksums of all files below, by relative path."""
    return {str(path.relative_to(directory)): checksum(path) for path in directory.rglob("*") if path.is_file() and not path.is_symlink()}


def big_tree(bed):
    """As many files as a kernel's sources have in `--full`, from what the system has."""
    source = bed.directory / "source"
    copies = 6 if bed.full else 1
    for number in range(copies):
        target = source / str(number)
        target.mkdir(parents=True)
        bed.run("cp", "-r", "/usr/include", "/usr/share/doc", target)
    archive = bed.directory / "source.tar"
    bed.run("tar", "-cf", archive, "-C", source, ".")
    return source, archive


def file_system(bed, fs, loop):
    source, archive = big_tree(bed)
    wanted = sums(source)
    bed.run("mkfs.ext4", "-q", loop.device)
    loop.mount()
    bed.run("tar", "-xf", archive, "-C", loop.directory)
    with open(loop.directory / "big", "wb") as big:
        for _ in range(96):
            big.write(os.urandom(MiB))
    big = checksum(loop.directory / "big")
    loop.unmount()
    bed.run("fsck.ext4", "-f", "-n", loop.device)
    loop.mount()
    check(checksum(loop.directory / "big") == big, "the big file differs after a remount")
    found = sums(loop.directory)
    found.pop("big")
    check(found == wanted, f"{len(wanted)} files were unpacked; after a remount they differ")
    print(f"{len(wanted)} files unpacked, found again")
    gives_space_back(bed, loop)
    loop.unmount()
    bed.run("fsck.ext4", "-f", "-n", loop.device)
    bed.expected = wanted


def gives_space_back(bed, loop):
    full = bed.cluster.volume("disk").used
    (loop.directory / "big").unlink()
    bed.run("sync", "-f", loop.directory)
    bed.run("fstrim", loop.directory)
    trimmed = bed.cluster.volume("disk").used
    check(trimmed <= full - 64 * MiB, f"fstrim gave nothing back: {full} bytes used before, {trimmed} after")


def growing(bed, fs):
    volume = fs.volume("disk")
    os.truncate(volume, SIZE + 64 * MiB)
    check(bed.cluster.volume("disk").size == SIZE + 64 * MiB, "truncate did not grow the volume")
    refused(22, lambda: os.truncate(volume, SIZE), "shrinking")
    bed.dog("vdi", "resize", "disk", str(SIZE + 128 * MiB))
    wait_until(lambda: os.stat(volume).st_size == SIZE + 128 * MiB, "the file has the size of dog vdi resize", 3)


def qemu(bed, fs):
    bed.create("image", 64 * MiB)
    fs.echo("image", "vdi/mount")
    volume = fs.volume("image")
    source = bed.random_file("image.raw", 24 * MiB)
    os.truncate(source, 64 * MiB)
    bed.run("qemu-img", "convert", "-n", "-f", "raw", "-O", "raw", source, volume)
    check(bed.cluster.volume("image").used <= 32 * MiB, "holes took space")
    bed.run("qemu-img", "compare", "-f", "raw", "-F", "raw", source, volume)
    bed.qemu_io(str(volume), "write -P 0x11 512 1k", "write -z 1M 1M", "write -z -u 4M 4M", "discard 8M 4M", "flush")
    bed.qemu_io(bed.sheep[2].tcp("image"), "read -P 0x11 512 1k", "read -P 0 1M 1M", "read -P 0 4M 8M")
    bed.run("qemu-img", "bench", "-f", "raw", "-t", "none", "-c", "512", "-d", "16", "-w", "--flush-interval=64", volume)
    bed.run("qemu-img", "info", volume)


def ended_by_umount(bed, fs):
    bed.run("umount", fs.path)
    wait_until(lambda: not fs.is_running(), "sheepfs ends after umount", 90)
    check(fs.child.wait() == 0, f"sheepfs ended with {fs.child.returncode}")
    check(not mounts(fs.path) and os.listdir(fs.path) == [], "something is left behind")


def there_again(bed, loop):
    """Through another sheep, by itself, and with the page cache."""
    bed.run("fsck.ext4", "-f", "-n", loop.device)
    loop.mount()
    check(sums(loop.directory) == bed.expected, "the files differ through another sheep")
    (loop.directory / "cached").write_bytes(b"x" * MiB)
    loop.unmount()
    bed.run("fsck.ext4", "-f", "-n", loop.device)


def snapshots(bed, fs):
    bed.dog("vdi", "snapshot", "-s", "monday", "image")
    with open(fs.volume("image"), "r+b") as image:
        image.write(b"tuesday")
        image.flush()
        os.fsync(image.fileno())
    check("image@monday" in os.listdir(fs.path / "volume"), "the snapshot is not there by itself")
    check(fs.volume("image@monday").read_bytes()[:7] != b"tuesday", "the snapshot changed")
    check(fs.volume("image").read_bytes()[:7] == b"tuesday", "the volume did not change")
    refused(30, lambda: os.open(fs.volume("image@monday"), os.O_RDWR), "writing to a snapshot")


def ended_by_signal(bed, fs):
    """While a file is open: the tree goes at once, what was written is there."""
    with open(fs.volume("image"), "r+b", buffering=0) as image:
        image.write(b"the last word")
        fs.child.send_signal(signal.SIGTERM)
        wait_until(lambda: not fs.is_running(), "sheepfs ends after SIGTERM", 15)
    check(fs.child.wait() == 0, f"sheepfs ended with {fs.child.returncode}")
    check(not mounts(fs.path) and os.listdir(fs.path) == [], "something is left behind")
    raw = subprocess.run(bed.cluster.dog_command("vdi", "read", "image", "0", "13"), capture_output=True, timeout=30, check=True).stdout
    check(raw == b"the last word", f"what was written last is {raw}")


def in_the_background(bed):
    path = bed.directory / "background"
    path.mkdir()
    bed.run(binaries() / "sheepfs", "-p", bed.sheep[0].port, path)
    try:
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit() and serves(int(name), path)]
        check(len(pids) == 1, f"{pids} serve {path}")
        check(mounts(path), "it went to the background before it was mounted")
        check((path / "node/list").read_text() == bed.dog("node", "list"), "it does not serve")
    finally:
        bed.run("umount", path)
    wait_until(lambda: not process.is_running(pids[0]), "the daemon ends", 10)
    path.rmdir()


def serves(pid, path):
    return process.is_program(pid, "sheepfs") and str(path) in Path(f"/proc/{pid}/cmdline").read_text()
