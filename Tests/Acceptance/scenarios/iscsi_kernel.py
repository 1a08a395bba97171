"""the kernel's iSCSI initiator: ext4 on a volume, data after a remount, and two paths of which one dies under a verified load"""

import threading

from acceptance import MiB, check
from tgt import Tgt, unix_store
from waiting import wait_until

SHEEP, COPIES, LIMIT = 3, 3, 600

MODULES = "mkdir -p /run/lock; for module in iscsi_tcp sd_mod dm_multipath dm_round_robin ext4; do modprobe $module; done; iscsid"


def scenario(bed):
    file_system(bed)
    two_paths(bed)


def login(tgt, name, disk, timeout=60):
    """Discovery would tell the address that tgt knows itself by, which is not the guest's way to it."""
    node = f"iscsiadm -m node -T {tgt.name(name)} -p 10.0.2.2:{tgt.port}"
    return f"""
{node} -o new
{node} -o update -n node.session.timeo.replacement_timeout -v {timeout}
{node} --login
until [ -b {disk} ]; do sleep 0.1; done"""


def file_system(bed):
    bed.create("kernel", 256 * MiB)
    tgt = Tgt(bed)
    tgt.export("kernel", unix_store(bed.sheep[0], "kernel"))
    logout = "umount /mnt; iscsiadm -m node --logout"
    printed = bed.guest(f"""
{MODULES}
{login(tgt, "kernel", "/dev/sda")}
mkfs.ext4 -q -F /dev/sda
mount /dev/sda /mnt
dd if=/dev/urandom of=/mnt/data bs=1M count=48 conv=fsync
sha256sum /mnt/data
{logout}""")
    digest = next(line.split()[0] for line in printed.splitlines() if line.endswith("  /mnt/data"))
    other = Tgt(bed)
    other.export("kernel", unix_store(bed.sheep[1], "kernel"))
    bed.guest(f"""
{MODULES}
{login(other, "kernel", "/dev/sda")}
mount /dev/sda /mnt
echo "{digest}  /mnt/data" | sha256sum -c
{logout}
fsck.ext4 -fn /dev/sda || true""")
    bed.run("qemu-img", "compare", "-f", "raw", "-F", "raw", other.uri("kernel"), bed.sheep[2].unix("kernel"))


def two_paths(bed):
    """The device mapper's multipath over two tgtd beside two sheep; one tgtd is killed while a file is being written."""
    bed.create("paths", 256 * MiB)
    one, two = Tgt(bed), Tgt(bed)
    one.export("paths", unix_store(bed.sheep[0], "paths"))
    two.export("paths", unix_store(bed.sheep[1], "paths"))
    killer = threading.Thread(target=kill_when_written, args=(bed, one))
    killer.start()
    printed = bed.guest(f"""
{MODULES}
{login(one, "paths", "/dev/sda", timeout=3)}
{login(two, "paths", "/dev/sdb", timeout=3)}
sectors=$(cat /sys/block/sda/size)
dmsetup create paths --table "0 $sectors multipath 1 queue_if_no_path 0 1 1 round-robin 0 2 1 /dev/sda 100 /dev/sdb 100"
dmsetup mknodes
mkfs.ext4 -q -F /dev/mapper/paths
mount /dev/mapper/paths /mnt
for number in 1 2 3 4 5 6 7 8 9 10 11 12; do
  dd if=/dev/urandom of=/mnt/data$number bs=1M count=8 conv=fsync 2> /dev/null
done
cd /mnt; sha256sum data* > /root/sums; cd /
dmsetup status paths
umount /mnt
mount /dev/mapper/paths /mnt
cd /mnt; sha256sum -c /root/sums; cd /
umount /mnt
fsck.ext4 -fn /dev/mapper/paths""", timeout=400)
    killer.join(60)
    check(not killer.is_alive() and one.process.poll() is not None, "the first tgtd was never killed")
    status = next(line for line in printed.splitlines() if " multipath " in line and not line.startswith("+"))
    check(" F " in status and " A " in status, f"one path failed and one is active; dmsetup says {status}")
    bed.dog("vdi", "check", "paths")


def kill_when_written(bed, tgt):
    wait_until(lambda: bed.cluster.volume("paths").used >= 40 * MiB, "the guest writes", 300, interval=0.5)
    tgt.kill()
