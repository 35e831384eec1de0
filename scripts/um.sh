#!/bin/bash
# Boot User-mode Linux, run a program in it, and return its exit status: for what takes long, as it runs at the speed of
# this machine. It has no large folios for processes, and neither memory errors nor memory that can be unplugged.
#
#   um.sh [-k KERNEL] [-m MIB] [-c CMDLINE] [-s SWAP_MIB] [-w NAME=IMAGE]... [-t SECONDS] [-n NAME] [-K] [-j CPUS]
#         PROGRAM [FILE...]
#
# These mean what they do for vm.sh. All output, the kernel's as well, goes to stdout and to build/logs/NAME.log.
#
# Exit status: the program's; or 100 if the kernel complained in its log, 101 if it died, 124 if it hung.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

kernel=uml memory=512 cmdline='' swap='' limit=600 name='' disks='' nr=0 devices=() nr_cpus=2 no_memory=''
work=$(guest_dir um) pid=''
trap '[ -z "$pid" ] || kill "$pid" || :; rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# disk NAME IMAGE
disk() {
	disks+=${disks:+ }$1
	devices+=("ubd$nr=$2")
	nr=$((nr + 1))
}

while getopts k:m:c:s:w:t:n:j:K opt; do
	case $opt in
	k) kernel=$OPTARG ;;
	m) memory=$OPTARG ;;
	c) cmdline=$OPTARG ;;
	s) swap=$OPTARG ;;
	w) disk "${OPTARG%%=*}" "${OPTARG#*=}" ;;
	t) limit=$OPTARG ;;
	n) name=$OPTARG ;;
	j) nr_cpus=$OPTARG ;;
	K) no_memory=${NO_MEMORY}d ;;
	*) die "unknown option" "The first lines of $0 say which there are." ;;
	esac
done
shift $((OPTIND - 1))
[ $# -ge 1 ] || die "no program to run" "The first lines of $0 show how to call it."
need_pkgs vm
if [[ $kernel = */* ]]; then image=$kernel; else image=$(kernel_image "$kernel"); fi
[ -f "$image" ] || die "there is no $image" "Build it with scripts/build-kernel.sh."
name=${name:-$(basename "$1" .sh)}
mkdir -p "$LOGS"
log=$LOGS/$name.log
[ -z "$swap" ] || { truncate -s "${swap}M" "$work/swap" && disk swap "$work/swap"; }

# Each page of a process may be a mapping of its own of this machine. Where mmap() fails, the process tries for ever.
maps=/proc/sys/vm/max_map_count need=$((memory * 256 + 65530))
[ "$(cat $maps)" -ge "$need" ] || echo "$need" 2>/dev/null >$maps ||
	die "User-mode Linux with $memory MiB needs vm.max_map_count=$need" "Set it as root."

# User-mode Linux's own flush_tlb_mm() walks the VMAs of a process without a lock, which PROVE_RCU reports; mainline does that.
without_tlb() {
	awk '
	trace && !/\[<[0-9a-f]+>\]/ { if (said !~ /flush_tlb_mm/) printf "%s", said; on = trace = 0 }
	/WARNING: suspicious RCU usage/ { on = 1; said = ""; trace = 0 }
	!on { print; next }
	{ said = said $0 "\n" }
	/Call Trace:/ { trace = 1 }
	END { if (on) printf "%s", said }'
}

pack_initramfs "$work" "$(command -v busybox)" init-um "$@"

# Words of CMDLINE that the kernel does not know are in the environment of its first process.
read -ra words <<<"$cmdline"
status=0
timeout -k 5 "$limit" "$image" "mem=${memory}M" "ncpus=$nr_cpus" seccomp=on con0=fd:0,fd:1 "initrd=$work/initramfs" \
	"${devices[@]}" page_poison=1 panic=-1 zswap.enabled=1 "DISKS=\"$disks\"" "${words[@]}" >"$log" 2>&1 </dev/null &
pid=$!
wait "$pid" || status=$?
pid=''
cat "$log"
without_tlb <"$log" >"$work/said"
if complaints "$work/said" "$no_memory" >&2; then
	exit "$VM_SPLAT"
fi
result=$(sed -n 's/^@status \([0-9]*\).*/\1/p' "$log" | tail -n 1)
[ -z "$result" ] || exit "$result"
case $status in 124 | 137) exit "$VM_TIMEOUT" ;; esac
exit "$VM_DIED"
