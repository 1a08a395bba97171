"""the kernel's nbd-client: ext4 on a volume, data after a remount, and fstrim gives space back"""

from acceptance import MiB, check

SHEEP, COPIES, LIMIT = 3, 3, 420

CONNECT = "modprobe nbd; modprobe ext4; nbd-client -N kernel 10.0.2.2 {port} /dev/nbd0 -b 4096 -C 2 -t 30"
DISCONNECT = "umount /mnt; nbd-client -d /dev/nbd0"


def scenario(bed):
    bed.create("kernel", 512 * MiB)
    printed = bed.guest(f"""
{CONNECT.format(port=bed.sheep[0].nbd_port)}
mkfs.ext4 -q -F /dev/nbd0
mount /dev/nbd0 /mnt
dd if=/dev/urandom of=/mnt/data bs=1M count=96 conv=fsync
sha256sum /mnt/data
{DISCONNECT}""")
    full = bed.cluster.volume("kernel").used
    check(full >= 96 * MiB, f"only {full} bytes used after 96 MiB were written")
    digest = next(line.split()[0] for line in printed.splitlines() if line.endswith("  /mnt/data"))
    bed.guest(f"""
{CONNECT.format(port=bed.sheep[1].nbd_port)}
mount /dev/nbd0 /mnt
echo "{digest}  /mnt/data" | sha256sum -c
rm /mnt/data
sync
fstrim -v /mnt
{DISCONNECT}""")
    trimmed = bed.cluster.volume("kernel").used
    check(trimmed <= full - 64 * MiB, f"fstrim gave nothing back: {full} bytes used before, {trimmed} after")
