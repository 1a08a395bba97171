#!/bin/bash
# Boots a small Linux guest, runs a script in it as root, shows what the script prints and exits with its status.
#
#   run.sh [--timeout SECONDS] IMAGE-DIRECTORY GUEST-SCRIPT
#
# IMAGE-DIRECTORY is build.sh's. In the guest this machine's loopback is 10.0.2.2. The processor is emulated, so that it
# works where KVM does not. Exit status 124: no end in time (default 300 s); 125: the guest died before the script ended.
set -euo pipefail

limit=300
if [ "${1:-}" = --timeout ]; then limit=$2; shift 2; fi
[ $# -eq 2 ] || { sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "$0" >&2; exit 2; }
image=$1 script=$2

work=$(mktemp -d)
qemu=
trap 'if [ -n "$qemu" ]; then kill "$qemu" 2> /dev/null || :; fi; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# The kernel unpacks archives one after the other: a small one behind the big one carries the script.
mkdir -p "$work/tree/guest"
install -m 755 "$script" "$work/tree/guest/script"
(cat "$image/initrd.cpio"; cd "$work/tree" && find guest | cpio --quiet -o -H newc) > "$work/initrd"

: > "$work/output"
: > "$work/status"
# timeout ends the guest should this script itself be killed.
timeout "$limit" qemu-system-x86_64 \
  -accel tcg -cpu max -smp 1 -m 512 -nodefaults -no-user-config -no-reboot -display none \
  -kernel "$image/vmlinuz" -initrd "$work/initrd" -append "console=ttyS0 quiet panic=-1" \
  -serial "file:$work/console" \
  -device virtio-rng-pci -device virtio-serial-pci \
  -chardev "file,id=output,path=$work/output" -device virtserialport,chardev=output,name=output \
  -chardev "file,id=status,path=$work/status" -device virtserialport,chardev=status,name=status \
  -netdev user,id=net0 -device virtio-net-pci,netdev=net0 < /dev/null >&2 &
qemu=$!
tail --pid="$qemu" -n +1 -s 0.1 -f "$work/output"
code=0
wait "$qemu" || code=$?
qemu=
[ "$code" -ne 124 ] || { echo "run.sh: no end after $limit seconds" >&2; exit 124; }
status=$(cat "$work/status")
if [ -z "$status" ]; then
  echo "run.sh: the guest died (qemu: $code); its console ends with:" >&2
  tail -n 20 "$work/console" >&2
  exit 125
fi
exit "$status"
