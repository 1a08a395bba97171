"""Machines whose power can be cut: what a sheep did not make durable is gone.

Each store, and the control log, is a file system of its own in a file. After the processes were killed the kernel shuts it down without
writing its journal (FS_IOC_SHUTDOWN, with which the test suites of file systems cut the power): nothing that stands in the page cache only
reaches the file any more. Mounted again it shows what a machine whose disk has no volatile cache shows after its restart. Each machine has its own boot id, from which
a sheep learns that it restarted.
"""

import fcntl
import os
import struct
import subprocess
import uuid

from sheep import kill_all

FS_IOC_SHUTDOWN = 0x8004587D
WITHOUT_JOURNAL = 2
SIZE = 1 << 30
KINDS = ("ext4", "xfs")
MAKE = {"ext4": ("mkfs.ext4", "-q", "-F", "-m", "0"), "xfs": ("mkfs.xfs", "-q", "-f")}
BOOT_ID = "/proc/sys/kernel/random/boot_id"


class Disk:
    """A file system in a sparse file of 1 GiB, mounted at `path`."""

    def __init__(self, image, path, kind):
        self.image, self.path = image, path
        with open(image, "wb") as file:
            file.truncate(SIZE)
        run(*MAKE[kind], image)
        path.mkdir(parents=True, exist_ok=True)
        self.mount()
        path.chmod(0o700)
        run("sync", "--file-system", path)

    def mount(self):
        run("mount", "-o", "loop", self.image, self.path)

    def lose_power(self):
        """What was not written through is gone; nobody has a file open there."""
        folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(folder, FS_IOC_SHUTDOWN, struct.pack("I", WITHOUT_JOURNAL))
        finally:
            os.close(folder)
        run("umount", self.path)
        self.mount()


class Machines:
    """A machine for each sheep of a cluster that was not started yet; the first machine's disk has the control log."""

    def __init__(self, directory, cluster, mounts):
        """Mounts go into the list of those that the caller undoes."""
        self.cluster = cluster
        # What is mounted below it later is mounted, and unmounted, for the sheep as well, which have mount namespaces of their own.
        run("mount", "--bind", cluster.directory, cluster.directory)
        mounts.append(cluster.directory)
        run("mount", "--make-private", cluster.directory)
        run("mount", "--make-shared", cluster.directory)
        self.disks, self.boot_ids = {}, {}
        for sheep in cluster.sheep:
            image = directory / f"disk{sheep.number}"
            self.disks[sheep.number] = Disk(image, sheep.store, KINDS[sheep.number % len(KINDS)])
            mounts.append(sheep.store)
            boot_id = self.boot_ids[sheep.number] = directory / f"boot_id{sheep.number}"
            self._boot(sheep)
            sheep.wrapper = [
                "unshare", "--mount", "--propagation", "slave", "sh", "-c", f'mount --bind "$0" {BOOT_ID} && exec "$@"', str(boot_id)]
        log = cluster.directory / "sheepdog.local"
        self.log = Disk(directory / "log", log, KINDS[0])
        mounts.append(log)

    def _boot(self, sheep):
        self.boot_ids[sheep.number].write_text(f"{uuid.uuid4()}\n")

    def cut(self, *sheep):
        """These machines lose their power at once. Of all of them, the control log's disk does as well."""
        kill_all(*sheep)
        disks = [self.disks[s.number] for s in sheep]
        if len(sheep) == len(self.cluster.sheep):
            disks.append(self.log)
        for disk in disks:
            disk.lose_power()
        for s in sheep:
            self._boot(s)


def run(*command):
    words = [str(word) for word in command]
    result = subprocess.run(words, capture_output=True, text=True, timeout=60)
    if result.returncode != 0:
        raise RuntimeError(f"`{' '.join(words)}` ended with {result.returncode}: {result.stderr.strip()}")
