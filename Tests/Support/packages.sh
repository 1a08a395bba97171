#!/bin/bash
# Sees to the Debian packages that something here needs.
#
#   packages.sh build|run|test|bench
#
# As root it installs what is missing; otherwise it prints the one command to run, and ends with 1.
set -euo pipefail

build=(libisal-dev libnbd-dev libfuse3-dev pkg-config)
run=("${build[@]}" python3 libnbd-bin fuse3)
bench=("${run[@]}" python3-libnbd qemu-utils nbdkit fio iproute2 nftables util-linux)
test=("${bench[@]}" tgt libiscsi-bin qemu-system-x86 qemu-block-extra nbd-client mmdebstrap cpio extlinux e2fsprogs xfsprogs)

case ${1:-} in
  build | run | test | bench) declare -n wanted=$1 ;;
  *) sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "$0" >&2; exit 2 ;;
esac

missing=()
for package in "${wanted[@]}"; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2> /dev/null)" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
  printf 'Packages are missing. Run this, then try again:\n\n  sudo apt-get install -y --no-install-recommends %s\n\n' "${missing[*]}" >&2
  exit 1
fi
echo "Installing: ${missing[*]}"
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null
