"""sheepfs without root, by fusermount3: mounts, serves its user alone, or others with --allow-other, and ends by umount and SIGTERM"""

import os

from cluster import binaries

SHEEP, COPIES, LIMIT = 1, 1, 60

# In a mount namespace of its own: a /dev/fuse for everybody, as udev makes it, and an /etc/fuse.conf.
SCRIPT = r"""
set -eu
sheepfs=$1 port=$2 place=$3
as() { setpriv --reuid "$1" --regid "$1" --clear-groups -- sh -ec "$2"; }
user=65534 other=65533
mount --make-rprivate /
mknod -m 666 $place/fuse c 10 229
mount --bind $place/fuse /dev/fuse
: > $place/fuse.conf
mount --bind $place/fuse.conf /etc/fuse.conf
mkdir $place/mount
chown $user $place/mount

start() {
    setpriv --reuid $user --regid $user --clear-groups --pdeathsig TERM -- $sheepfs -f --auto-mount -p $port "$@" $place/mount &
    child=$!
    for try in $(seq 100); do grep -q " $place/mount fuse" /proc/self/mounts && return; kill -0 $child; sleep 0.1; done
    echo "not mounted"; exit 1
}
ended() { wait $child; refused grep " $place/mount " /proc/self/mounts; }
# set -e passes over a command behind an exclamation mark.
refused() { if "$@" 2> $place/refused; then echo "went well: $*"; exit 1; fi; }

start
as $user "dd if=/dev/urandom of=$place/data bs=64k count=8 2> $place/dd
    dd if=$place/data of=$place/mount/volume/disk bs=64k conv=notrunc,fsync 2> $place/dd
    cmp -n 524288 $place/data $place/mount/volume/disk"
for stranger in $other 0; do refused as $stranger "ls $place/mount"; done
kill -TERM $child
ended

# Only if the machine's administrator allows it.
refused as $user "$sheepfs -f -p $port --allow-other $place/mount"
grep -q user_allow_other $place/refused
echo user_allow_other > $place/fuse.conf
start --allow-other
as $user "cmp -n 524288 $place/data $place/mount/volume/disk"
as $other "ls $place/mount/volume/disk"
refused as $other "head -c 1 $place/mount/volume/disk"
as $user "fusermount3 -u $place/mount"
ended
"""


def scenario(bed):
    bed.create("disk", 16 << 20)
    # The user must get to the mount point and the program.
    os.chmod(bed.directory, 0o755)
    place = bed.directory / "place"
    place.mkdir()
    os.chmod(place, 0o777)
    bed.run("unshare", "--mount", "sh", "-c", SCRIPT, "script", binaries() / "sheepfs", bed.sheep[0].port, place)
