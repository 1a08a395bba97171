#!/bin/bash
# Builds the kernel and the initramfs that run.sh boots, from Debian packages alone. Nothing of them is installed here.
#
#   build.sh OUTPUT-DIRECTORY
#
# Needs root, mmdebstrap and cpio. The result is made under a temporary name and renamed, so that it is there whole or not at all.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
out=$1
suite=bookworm
kernel=linux-image-cloud-amd64
packages=(busybox-static kmod dash bash coreutils util-linux mount nbd-client open-iscsi dmsetup e2fsprogs iproute2 netbase)
modules=(virtio_pci virtio_console virtio_net virtio_rng nbd iscsi_tcp sd_mod dm_multipath dm_round_robin ext4)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root

# The packages' files and those of all they depend on; no maintainer script runs.
unpack_packages() {
  local include
  include=$(IFS=,; echo "$kernel,${packages[*]}")
  mmdebstrap --quiet --variant=extract --include="$include" \
    --dpkgopt='path-exclude=/usr/share/*' \
    --dpkgopt='path-exclude=/usr/bin/perl*' --dpkgopt='path-exclude=/usr/lib/*/perl*' \
    --dpkgopt='path-exclude=/usr/lib/*/libperl*' --dpkgopt='path-exclude=/usr/lib/*/gconv/*' \
    --dpkgopt='path-exclude=/lib/udev/hwdb*' --dpkgopt='path-exclude=/lib/systemd/*' \
    "$suite" "$root"
}

# Of the kernel's modules keep those named above and what they depend on.
keep_modules() {
  local version module
  version=$(basename "$root"/lib/modules/*)
  install -m 644 "$root/boot/vmlinuz-$version" "$work/vmlinuz"
  chroot "$root" depmod "$version"
  for module in "${modules[@]}"; do
    chroot "$root" modprobe --set-version "$version" --show-depends "$module"
  done | sed -n 's/^insmod \/\([^ ]*\).*/\1/p' | sort -u > "$work/keep"
  tar -c -C "$root" -T "$work/keep" -f "$work/modules.tar"
  rm -r "${root:?}/boot" "$root/lib/modules/$version/kernel"
  tar -x -C "$root" -f "$work/modules.tar"
  chroot "$root" depmod "$version"
}

# What maintainer scripts would have made.
finish_root() {
  ln -sf dash "$root/bin/sh"
  echo 'root:x:0:0:root:/root:/bin/sh' > "$root/etc/passwd"
  echo 'root:x:0:' > "$root/etc/group"
  printf '127.0.0.1 localhost\n10.0.2.2 host\n' > "$root/etc/hosts"
  echo 'InitiatorName=iqn.2026-01.org.sheepdog:guest' > "$root/etc/iscsi/initiatorname.iscsi"
  ln -sf /proc/self/mounts "$root/etc/mtab"
  mkdir -p "$root"/{proc,sys,dev,run,tmp,mnt,root,opt/busybox}
  chroot "$root" /bin/busybox --install -s /opt/busybox
  install -m 755 "$here/guest-init" "$root/init"
}

unpack_packages
keep_modules
finish_root
(cd "$root" && find . -print0 | LC_ALL=C sort -z | cpio --quiet --null --create --format=newc) > "$work/initrd.cpio"
mkdir -p "$(dirname "$out")"
rm -rf "$out.new"
mkdir "$out.new"
mv "$work/vmlinuz" "$work/initrd.cpio" "$out.new/"
rm -rf "$out"
mv "$out.new" "$out"
