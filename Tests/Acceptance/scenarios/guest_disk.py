"""a Debian disk: imported, booted by QEMU from both sockets and from sheepfs, snapshotted while it runs, cloned, there after a restart"""

import re
import shutil
import subprocess

from acceptance import SUPPORT, cached, check
from sheepfs_mount import Sheepfs
from waiting import wait_until

SHEEP, COPIES, LIMIT = 3, 3, 900
FULL_ONLY = True

BOOT_LIMIT = 240


def scenario(bed):
    bed.dog("vdi", "import", str(debian_disk()), "guest", timeout=300)
    boot(bed, bed.sheep[0].tcp("guest"), 1)
    boot(bed, bed.sheep[1].unix("guest"), 2)
    guest, console = begin_boot(bed, bed.sheep[0].unix("guest"))
    wait_until(lambda: "SELFTEST begins" in console.read_text(errors="replace"), "the guest is up", BOOT_LIMIT)
    bed.dog("vdi", "snapshot", "-s", "live", "guest")
    end_boot(guest, console, 3)
    bed.dog("vdi", "clone", "-s", "live", "guest", "clone")
    # The snapshot was taken before, while or after the third boot counted itself: the clone's own is the third or fourth.
    boot(bed, bed.sheep[2].tcp("clone"), 3, 4)
    bed.cluster.shutdown()
    bed.cluster.restart()
    boot(bed, bed.sheep[2].unix("guest"), 4)
    boot(bed, bed.sheep[0].tcp("clone"), 4, 5)
    with Sheepfs(bed.directory, bed.sheep[1], "--auto-mount") as fs:
        boot(bed, fs.volume("guest"), 5)
    for name in ("guest", "clone"):
        bed.dog("vdi", "check", name)


def debian_disk():
    return cached("debian.raw", SUPPORT / "debian-disk.sh")


def begin_boot(bed, uri):
    console = bed.directory / "console"
    console.write_bytes(b"")
    guest = bed.start(
        shutil.which("qemu-system-x86_64"), "-accel", "tcg", "-cpu", "max", "-m", 512, "-nodefaults", "-no-user-config",
        "-display", "none", "-no-reboot", "-drive", f"file={uri},format=raw,if=virtio", "-serial", f"file:{console}",
        output="qemu.log")
    return guest, console


def end_boot(guest, console, *counts):
    """The guest checks what its previous boot wrote, writes anew, prints its count and powers off."""
    try:
        guest.wait(BOOT_LIMIT)
    except subprocess.TimeoutExpired:
        check(False, f"the guest did not power off; its console:\n{console.read_text(errors='replace')[-3000:]}")
    printed = console.read_text(errors="replace")
    found = re.search(r"SELFTEST boot=(\d+) check=(\w+)", printed)
    check(found is not None, f"the guest printed no result; its console:\n{printed[-3000:]}")
    check(int(found[1]) in counts, f"this was boot {found[1]}, not {counts}")
    check(found[2] in ("ok", "first"), f"the guest found other data than it had written:\n{printed[-3000:]}")


def boot(bed, uri, *counts):
    end_boot(*begin_boot(bed, uri), *counts)
