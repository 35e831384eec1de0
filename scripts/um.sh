#!/bin/bash
# Boot User-mode Linux, run a program in it, and return its exit status: for what takes long, as it runs at the speed of
# this machine. It has no large folios for processes, and neither memory errors nor memory that can be unplugged.
#
#   um.sh -k KERNEL [-m MIB] [-c CMDLINE] [-s SWAP_MIB] [-w NAME=IMAGE]... [-t SECONDS] [-n NAME] [-K] PROGRAM [FILE...]
#
# These mean what they do for vm.sh. All output, the kernel's as well, goes to stdout and to build/logs/NAME.log.
#
# Exit status: the program's; or 100 if the kernel complained in its log, 101 if it died, 124 if it hung.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

kernel=uml memory=512 cmdline='' swap='' limit=600 name='' disks='' nr=0 devices=() no_memory=''
work=$(mktemp -d "$BUILD/um.XXXXXX") pid=''
trap '[ -z "$pid" ] || kill "$pid" || :; rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# disk NAME IMAGE
disk() {
	disks+=${disks:+ }$1
	devices+=("ubd$nr=$2")
	nr=$((nr + 1))
}

while getopts k:m:c:s:w:t:n:K opt; do
	case $opt in
	k) kernel=$OPTARG ;;
	m) memory=$OPTARG ;;
	c) cmdline=$OPTARG ;;
	s) swap=$OPTARG ;;
	w) disk "${OPTARG%%=*}" "${OPTARG#*=}" ;;
	t) limit=$OPTARG ;;
	n) name=$OPTARG ;;
	K) no_memory=${NO_MEMORY}d ;;
	*) die "unknown option" "The first lines of $0 say which there are." ;;
	esac
done
shift $((OPTIND - 1))
[ $# -ge 1 ] || die "no program to run" "The first lines of $0 show how to call it."
need_pkgs vm
image=$(kernel_image "$kernel")
[ -f "$image" ] || die "there is no $image" "Build it with scripts/build-kernel.sh."
name=${name:-$(basename "$1" .sh)}
mkdir -p "$LOGS"
log=$LOGS/$name.log
[ -z "$swap" ] || { truncate -s "${swap}M" "$work/swap" && disk swap "$work/swap"; }

mkdir -p "$work/root/bin" "$work/root/job"
cp -L "$(command -v busybox)" "$work/root/bin/busybox"
cp "$TOP/scripts/guest/init-um" "$work/root/init"
cp "$1" "$work/root/job/run"
shift
[ $# = 0 ] || cp -r "$@" "$work/root/job/"
chmod +x "$work/root/init" "$work/root/job/run"
(cd "$work/root" && find . -print0 | cpio -0 -o -H newc --owner=0:0 --quiet) >"$work/initramfs"

# Words of CMDLINE that the kernel does not know are in the environment of its first process.
read -ra words <<<"$cmdline"
status=0
timeout -k 5 "$limit" "$image" "mem=${memory}M" ncpus=2 seccomp=on con0=fd:0,fd:1 "initrd=$work/initramfs" \
	"${devices[@]}" page_poison=1 panic=-1 "DISKS=\"$disks\"" "${words[@]}" >"$log" 2>&1 </dev/null &
pid=$!
wait "$pid" || status=$?
pid=''
cat "$log"
if sed -E "$no_memory" "$log" | grep -E "$SPLATS" >&2; then
	exit "$VM_SPLAT"
fi
[ "$status" != "$VM_TIMEOUT" ] || exit "$VM_TIMEOUT"
result=$(sed -n 's/^@status \([0-9]*\).*/\1/p' "$log" | tail -n 1)
exit "${result:-$VM_DIED}"
