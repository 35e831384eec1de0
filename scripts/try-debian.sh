#!/bin/bash
# The packages of "make deb" on Debian 13 with systemd, in QEMU: installed with dpkg, then what the guide and the
# manual say, through reboots, a shutdown, and Debian's own kernel again. scripts/guest/run-debian is what is done there.
#
# Usage: try-debian.sh [PART...]	some parts only, on the disk as the last run left it
#
# The guest's output is in build/logs/debian-PART.log, the console's in build/logs/debian-PART.kernel.log.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

suite=trixie
parts=(install start fstab unit tools default wrong without)
[ "$(id -u)" = 0 ] || { skip "debian" "only root can make the image" && exit; }
need_pkgs vm mmdebstrap
lock "$BUILD" debian
need_space "$BUILD" 4000
here=$BUILD/debian disk=$BUILD/debian/disk
mkdir -p "$here" "$LOGS"
failed=0

# Debian as it is installed, and what is needed to look at it; a week old at most
make_base() {
	local uri base=$CACHE/debian-$suite.tar

	[ -z "$(find "$base" -mtime -7 2>/dev/null)" ] || return 0
	uri=$(apt_mirror)
	[ -n "$uri" ] || die "apt has no Debian mirror configured to make an image from"
	say "making an image of Debian $suite; the log is $here/mmdebstrap.log"
	mmdebstrap --variant=minbase --include=systemd,systemd-sysv,udev,dbus,kmod,e2fsprogs,util-linux,procps \
		--include=initramfs-tools,linux-image-cloud-amd64,systemd-oomd,systemd-zram-generator \
		"$suite" "$base.new.tar" "deb [signed-by=$APT_KEYRING] $uri $suite main" >"$here/mmdebstrap.log" 2>&1 || {
		tail -n 5 "$here/mmdebstrap.log" >&2
		die "no image of Debian $suite can be made"
	}
	mv "$base.new.tar" "$base"
}

make_disk() {
	local root=$WORK/root

	say "making a disk of it"
	mkdir "$root"
	tar -xf "$CACHE/debian-$suite.tar" -C "$root"
	install -m 755 "$TOP/scripts/guest/run-debian" "$root/root/"
	mkdir "$root/root/debs"
	cp "${debs[@]}" "$root/root/debs/"
	cp "$TREE/Documentation/admin-guide/mm/ramzswap.rst" "$root/root/"
	echo 'LABEL=debian / ext4 defaults 0 1' >"$root/etc/fstab"
	echo try >"$root/etc/hostname"
	: >"$root/etc/resolv.conf"
	: >"$root/etc/machine-id"
	mkdir -p "$root/var/log/journal"
	# The machine's pace is an emulator's.
	printf '%s\n' '[Manager]' DefaultTimeoutStartSec=600 DefaultDeviceTimeoutSec=90 >"$root/etc/systemd/system.conf"
	# It has a configuration of its own; this overrides that.
	ln -sf /dev/null "$root/etc/systemd/zram-generator.conf"
	printf '%s\n' '[Unit]' 'After=multi-user.target' 'FailureAction=poweroff' '[Service]' 'ExecStart=/root/run-debian' \
		'OOMPolicy=continue' \
		'StandardOutput=tty' 'StandardError=tty' 'TTYPath=/dev/ttyS1' '[Install]' 'WantedBy=multi-user.target' \
		>"$root/etc/systemd/system/try.service"
	ln -s ../try.service "$root/etc/systemd/system/multi-user.target.wants/"
	rm -f "$disk"
	mke2fs -q -t ext4 -L debian -d "$root" "$disk" 3G
	rm -f "$here/swap"
	truncate -s 128M "$here/swap"
	mkswap -q -U 11111111-2222-3333-4444-555555555555 "$here/swap"
	boot_files "$root/boot" cloud
}

# The newest kernel named like NAME, and its initramfs: boot_files DIR NAME
boot_files() {
	cp "$1"/vmlinuz-*"$2"* "$here/vmlinuz-$2"
	cp "$1"/initrd.img-*"$2"* "$here/initrd-$2"
}

# From the disk, as a boot loader reads them
read_boot_files() {
	local file

	mkdir -p "$WORK/boot"
	debugfs -R 'ls -p /boot' "$disk" 2>/dev/null | cut -d/ -f6 | grep -E '^(vmlinuz|initrd.img)-.*-ramzswap$' |
		while IFS= read -r file; do debugfs -R "dump /boot/$file $WORK/boot/$file" "$disk" 2>/dev/null; done
	boot_files "$WORK/boot" ramzswap
}

# boot PART KERNEL CMDLINE
boot() {
	local part=$1 kernel=$2 log=$LOGS/debian-$1.log klog=$LOGS/debian-$1.kernel.log status=0

	say "$part"
	rm -f "$log"
	timeout -k 5 2400 qemu-system-x86_64 -machine q35 -cpu 'qemu64,+rdrand' -accel tcg,thread=multi -smp 2 -m 512 \
		-nodefaults -no-user-config -no-reboot -display none -nic none \
		-kernel "$here/vmlinuz-$kernel" -initrd "$here/initrd-$kernel" \
		-append "root=LABEL=debian rw console=ttyS0 panic=-1 no_timer_check rcupdate.rcu_cpu_stall_timeout=120 part=$part $3" \
		-serial "file:$klog" -serial "file:$log" \
		-drive "if=none,id=root,format=raw,file=$disk,cache=unsafe" -device virtio-blk-pci,drive=root \
		-drive "if=none,id=swap,format=raw,file=$here/swap,cache=unsafe" -device virtio-blk-pci,drive=swap \
		</dev/null || status=$?
	tr -d '\r' <"$log" | grep -v '^@' || :
	if [ $status != 0 ] || ! tr -d '\r' <"$log" | grep -qx "@end $part"; then
		not_ok "debian: $part # status $status; see $klog"
	elif sed -E -e 's/\r//; /Command line:/d' -e "${NO_MEMORY}d" "$klog" | grep -E -A 20 "$SPLATS" >"$WORK/splats"; then
		not_ok "debian: $part # the kernel complained"
		sed 's/^/    /' "$WORK/splats"
	elif ! grep -qE 'reboot: (Power down|Restarting system)' "$klog"; then
		not_ok "debian: $part: the machine stops"
	else
		ok "debian: $part: the machine stops, and the kernel has no complaint"
	fi
	if e2fsck -fn "$disk" >"$WORK/e2fsck" 2>&1 && ! grep 'skipping journal recovery' "$WORK/e2fsck"; then
		ok "debian: $part: the file system is clean afterwards"
	else
		not_ok "debian: $part: the file system is clean afterwards"
		sed 's/^/    /' "$WORK/e2fsck"
	fi
}

workdir "$BUILD/tmp-debian"
if [ $# -gt 0 ]; then
	parts=("$@")
else
	make_base >&2
	"$TOP/scripts/deb.sh" >"$WORK/debs"
	grep -v /linux-headers- "$WORK/debs" >"$WORK/names"
	mapfile -t debs <"$WORK/names"
	make_disk >&2
fi
for part in "${parts[@]}"; do
	case $part in
	install | without) boot "$part" cloud '' ;;
	# as the guide says
	start | fstab | unit | tools) boot "$part" ramzswap zswap.enabled=1 ;;
	*) boot "$part" ramzswap '' ;;
	esac
	case $part in install | tools) read_boot_files ;; esac
done | tee "$here/results"
! grep -q '^not ok' "$here/results" || failed=1
[ $failed = 0 ]
