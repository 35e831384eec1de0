#!/bin/bash
# The power goes while pages are written to a file that is /dev/ramzswap0's backing device: QEMU is killed.
# At the next boot the file system must be consistent, files that were synced must have their contents, and
# the backing file must be as large as it was and be of use again.
#
# Usage: power-cut.sh [ext4|xfs]...	by default both, one after the other
#
# What the disk has acknowledged is kept, as on one whose cache does not need power.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

[ $# -gt 0 ] || set -- ext4 xfs
need_pkgs vm xfsprogs
need_space "$BUILD" 2000
build_kernel series
lock "$BUILD" power-cut
workdir "$BUILD/tmp-power-cut"
image=$WORK/power.img program=$TOP/scripts/guest/run-power-cut
failed=0

# guest [vm.sh's options]... PROGRAM [FILE]...
guest() { "$TOP/scripts/vm.sh" -k series -m 160 -t 600 -w "power=$image" "$@"; }

fail() { not_ok "$@" && failed=1; }

make_fs() {
	rm -f "$image"
	truncate -s 512M "$image"
	case $1 in
	ext4) mkfs.ext4 -q "$image" ;;
	xfs) mkfs.xfs -q "$image" ;;
	*) die "nothing is known of the file system '$1'" "There are: ext4 xfs." ;;
	esac
}

fsck() {
	case $1 in
	ext4) e2fsck -fn "$image" ;;
	xfs) xfs_repair -n "$image" ;;
	esac
}

for fs in "$@"; do
	name=power-cut-$fs
	make_fs "$fs"

	say "booting a guest that swaps to a file on $fs until its power goes; output in $LOGS/$name.log"
	status=0
	guest -n "$name" -c "FS=$fs" -x @cut "$program" >/dev/null || status=$?
	grep '^bdev_num_writes' "$LOGS/$name.log" || :
	if [ "$status" != 0 ]; then
		fail "power-cut: $fs: the power goes while pages are written # vm.sh says $status; see $LOGS/$name.log"
		continue
	fi
	ok "power-cut: $fs: the power goes while pages are written"
	# What was said before that is complete.
	sed -n '/^@cut$/q; s/^@synced //p' "$LOGS/$name.log" >"$WORK/synced"

	say "booting again"
	guest -n "$name-again" -c "FS=$fs AFTER=yes" "$program" "$WORK/synced" ||
		fail "power-cut: $fs: the second boot # vm.sh says $?"
	if fsck "$fs" >"$WORK/fsck" 2>&1; then
		ok "power-cut: $fs: the file system is consistent"
	else
		cat "$WORK/fsck"
		fail "power-cut: $fs: the file system is consistent # what is wrong with it is above"
	fi
done
[ $failed = 0 ]
