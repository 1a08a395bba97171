#!/bin/bash
# Makes a bootable Debian disk: 1 GiB raw, ext4 on the whole disk, extlinux in its boot sector.
#
#   debian-disk.sh DISK
#
# Its guest prints "SELFTEST begins", checks the file that the boot before wrote, writes another, prints "SELFTEST boot=N check=ok|first|BAD" on its
# serial console and powers off. Needs root, a loop device, mmdebstrap, extlinux and e2fsprogs. The disk is made under a
# temporary name and renamed, so that it is there whole or not at all.
set -euo pipefail

disk=$1
work=$(mktemp -d)
mounted=
trap 'if [ -n "$mounted" ]; then umount "$work/root"; fi; rm -rf "$work" "$disk.new"' EXIT
root=$work/root

mkdir -p "$root" "$(dirname "$disk")"
truncate -s 1G "$disk.new"
# What extlinux's boot sector can read.
mkfs.ext4 -q -F -O ^64bit,^metadata_csum -L root "$disk.new"
mount -o loop "$disk.new" "$root"
mounted=yes
mmdebstrap --quiet --variant=minbase --include=linux-image-cloud-amd64,systemd-sysv,udev \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' --skip=check/empty bookworm "$root"

echo 'LABEL=root / ext4 defaults,errors=remount-ro 0 1' > "$root/etc/fstab"
echo guest > "$root/etc/hostname"
mkdir -p "$root/boot/extlinux"
cat > "$root/boot/extlinux/extlinux.conf" <<'C'
default linux
timeout 1
label linux
  kernel /vmlinuz
  append initrd=/initrd.img root=LABEL=root rw console=ttyS0 quiet
C
cat > "$root/etc/systemd/system/selftest.service" <<'C'
[Unit]
Description=check, write, power off
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/usr/local/sbin/selftest
StandardOutput=file:/dev/console
[Install]
WantedBy=multi-user.target
C
cat > "$root/usr/local/sbin/selftest" <<'C'
#!/bin/sh
# A boot that was cut off between the two renames leaves a new blob beside an old sum: both names are tried.
cd /var
echo "SELFTEST begins"
check=first
[ -e blob ] && { sha256sum -c blob.sum || sha256sum -c blob.sum.new; } && check=ok
[ -e blob ] && [ "$check" != ok ] && check=BAD
boot=$(($(cat boots 2> /dev/null || echo 0) + 1))
dd if=/dev/urandom of=blob.new bs=1M count=20 conv=fsync 2> /dev/null
sha256sum blob.new | sed 's/blob.new/blob/' > blob.sum.new
sync
mv blob.new blob
mv blob.sum.new blob.sum
echo "$boot" > boots
sync
echo "SELFTEST boot=$boot check=$check"
systemctl poweroff --no-block
C
chmod +x "$root/usr/local/sbin/selftest"
chroot "$root" systemctl --quiet enable selftest.service
# A login prompt would take the console away from the test.
chroot "$root" systemctl --quiet mask serial-getty@ttyS0.service
extlinux --install "$root/boot/extlinux" 2> /dev/null
umount "$root"
mounted=
mv "$disk.new" "$disk"
