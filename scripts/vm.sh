#!/bin/bash
# Boot a kernel in QEMU, run a program in it, and return its exit status.
#
#   vm.sh [-k KERNEL] [-m MIB] [-c CMDLINE] [-s SWAP_MIB] [-S OPTIONS] [-d NAME=IMAGE]... [-w NAME=IMAGE]...
#         [-t SECONDS] [-n NAME] [-x TEXT] [-I] [-K] [-j CPUS] [-P PLUGIN] PROGRAM [FILE...]
#   vm.sh -i ...		the same machine with a prompt, and only FILEs
#
# KERNEL: a name as in lib.sh (default: series), or the path of a bzImage.
# PROGRAM, FILEs and directories are in the guest's /job; NAME=VALUE in CMDLINE is in its environment.
# SWAP_MIB: an ordinary swap disk of that size, already in use. OPTIONS: QEMU's options for its drive. IMAGE: a disk, /dev/disk/NAME, read-only with
# -d, written to with -w.
# -x: the power goes when TEXT is a line of the guest's output. That is what is expected then: status 0.
# CPUS: how many, 2 by default.
# -K: there may be no memory, and processes may be killed; what the kernel says of that is no complaint.
# -I: one CPU, and a clock that counts instructions: a nanosecond in the guest is one, however long it took.
# PLUGIN: a plugin of QEMU, with its arguments.
# ARCH=i386|arm64|s390x: a machine of that kind; KERNEL is a path then.
# The guest's output goes to stdout and to build/logs/NAME.log, the kernel's to build/logs/NAME.kernel.log.
#
# Exit status: the program's; or 100 if the kernel complained in its log, 101 if it died, 124 if it hung.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

args=("$@")
kernel=series memory=512 cmdline='' swap=0 limit=600 name='' interactive='' disks=() cut='' icount='' nr_cpus=2 plugin='' swap_options='' no_memory=''
while getopts k:m:c:s:S:d:w:t:n:x:j:P:iIK opt; do
	case $opt in
	k) kernel=$OPTARG ;;
	m) memory=$OPTARG ;;
	c) cmdline=$OPTARG ;;
	s) swap=$OPTARG ;;
	S) swap_options=,$OPTARG ;;
	d) disks+=("$OPTARG,readonly=on") ;;
	w) disks+=("$OPTARG") ;;
	t) limit=$OPTARG ;;
	n) name=$OPTARG ;;
	x) cut=$OPTARG ;;
	j) nr_cpus=$OPTARG ;;
	i) interactive=on ;;
	I) icount=on ;;
	K) no_memory=${NO_MEMORY}d ;;
	P) plugin=$OPTARG ;;
	*) die "unknown option" "The first lines of $0 say which there are." ;;
	esac
done
shift $((OPTIND - 1))
[ -n "$interactive" ] || [ $# -ge 1 ] || die "no program to run" "The first lines of $0 show how to call it."
need_pkgs vm
if [[ $kernel = */* ]]; then image=$kernel; else image=$(kernel_image "$kernel"); fi
[ -f "$image" ] || die "there is no $image" "Build it with scripts/build-kernel.sh."
arch=${ARCH:-x86_64} bus=pci console=ttyS0
case $arch in
x86_64) machine=(qemu-system-x86_64 -machine pc -cpu 'qemu64,+rdrand') ;;
i386) machine=(qemu-system-x86_64 -machine pc -cpu 'max') ;;
arm64) need_pkgs qemu-system-arm && console=ttyAMA0 machine=(qemu-system-aarch64 -machine virt -cpu cortex-a57) ;;
s390x) need_pkgs qemu-system-misc && bus=ccw console=ttysclp0 machine=(qemu-system-s390x -machine s390-ccw-virtio -cpu max) ;;
*) die "there is no machine of the kind '$arch'" "The first lines of $0 say which there are." ;;
esac
if [ "$arch" = x86_64 ]; then
	busybox=$(command -v busybox) || die "busybox is missing" "Install the package busybox-static."
else
	busybox=$("$TOP/scripts/fetch-busybox.sh" "$arch")
fi
command -v "${machine[0]}" >/dev/null || die "QEMU is missing" "Install the package qemu-system-x86."

name=${name:-$(basename "${1:-shell}" .sh)}
mkdir -p "$LOGS"
log=$LOGS/$name.log klog=$LOGS/$name.kernel.log
rm -f "$log" "$klog"
work=$(guest_dir vm) pid=''
trap '[ -z "$pid" ] || kill "$pid" || :; rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

[ -z "$interactive" ] || set -- '' "$@"
pack_initramfs "$work" "$busybox" init "$@"

# CPUs emulated by a thread each: on a busy host one may have to wait for long, and that is no RCU
# stall, nor is a timer broken that does not tick meanwhile. hvc0 is the guest's terminal, hvc1 takes the exit status.
cpus=(-accel 'tcg,thread=multi' -smp "$nr_cpus")
[ -z "$icount" ] || nr_cpus=1 cpus=(-accel 'tcg,thread=single' -smp 1 -icount 'shift=0,sleep=off')
qemu=("${machine[@]}" "${cpus[@]}" -m "$memory"
	-nodefaults -no-user-config -no-reboot -display none -nic none
	-kernel "$image" -initrd "$work/initramfs"
	-append "console=$console panic=-1 oops=panic rcupdate.rcu_cpu_stall_timeout=120 no_timer_check CPUS=$nr_cpus zswap.enabled=1 $cmdline"
	-chardev "file,id=klog,path=$klog" -device "virtio-serial-$bus"
	-chardev "stdio,id=out,signal=off,logfile=$log,mux=${interactive:-off}" -device 'virtconsole,chardev=out'
	-chardev "file,id=status,path=$work/status" -device 'virtconsole,chardev=status')
if [ $bus = ccw ]; then qemu+=(-device "sclpconsole,chardev=klog"); else qemu+=(-serial chardev:klog); fi
[ -z "$plugin" ] || qemu+=(-plugin "$plugin")
disk() {
	qemu+=(-drive "if=none,id=$1,format=raw,$2" -device "virtio-blk-$bus,drive=$1,serial=$1")
}
if [ "$swap" -gt 0 ]; then
	truncate -s "${swap}M" "$work/swap"
	disk swap "file=$work/swap,cache=unsafe$swap_options"
fi
for d in "${disks[@]}"; do
	disk "${d%%=*}" "file=${d#*=}"
done

if [ -n "$interactive" ]; then
	"${qemu[@]}"
	exit
fi
status=0
timeout -k 5 "$limit" "${qemu[@]}" -pidfile "$work/qemu.pid" </dev/null &
pid=$!
was_cut=''
while [ -n "$cut" ] && [ -z "$was_cut" ] && kill -0 "$pid" 2>/dev/null; do
	sleep 0.1
	! grep -qsxF -e "$cut" "$log" || was_cut=yes
done
[ -z "$was_cut" ] || kill -KILL "$(cat "$work/qemu.pid")"
{ wait "$pid" || status=$?; } 2>/dev/null	# bash need not tell that it was killed
pid=''

# Once in a while an emulated CPU executes an int3 that another one has long replaced while it patched the
# kernel. As long as nothing is printed, no test can have caused it: start anew. (Seen in one boot of 20.)
if [ "${VM_AGAIN:-0}" -lt 5 ] && [ ! -s "$log" ] && grep -q 'Oops: int3' "$klog"; then
	echo "the emulator executed an instruction that is not there any more; starting the guest again" >&2
	VM_AGAIN=$((${VM_AGAIN:-0} + 1)) "$0" "${args[@]}"
	exit
fi
if [ -z "$was_cut" ] && { [ "$status" = 124 ] || [ "$status" = 137 ]; }; then
	echo "error: the guest was still busy after $limit s; its last words are in $log and $klog" >&2
	exit "$VM_TIMEOUT"
fi
# The kernel says more than once when something broke: in its log, and by a taint flag
# (bad page 5, died 7, warning 9, soft lockup 14).
read -r code taint < <(tr -d '\r' <"$work/status") || code=''
if complaints "$klog" "$no_memory" >"$work/splats" ||
	[ $((${taint:-0} & (1 << 5 | 1 << 7 | 1 << 9 | 1 << 14))) != 0 ]; then
	head -n 60 "$work/splats" >&2
	echo "error: the kernel complains (taint ${taint:-unknown}); all it said is in $klog" >&2
	exit "$VM_SPLAT"
fi
[ -z "$was_cut" ] || exit 0
if [ -z "$code" ]; then
	echo "error: the guest died without a word (QEMU's status: $status); the end of $klog:" >&2
	tail -n 15 "$klog" >&2
	exit "$VM_DIED"
fi
exit "$code"
