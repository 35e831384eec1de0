#!/bin/bash
# Measure the series against mainline: the same program, on the same real pages, on kernels of the same
# configuration, in the same virtual machine, in turn. Prints one table.
#
# Usage: bench.sh [--no-build] [KIND]...	with --no-build, the kernels that are there, even if they are not up to date
#        ROUNDS=1 bench.sh		a quick look; the rule is five
#        MACHINES='NAME NAME' bench.sh	only these columns of the table
#        TOGETHER=yes bench.sh		all of them at once: half the time, and then times mean nothing
#
# Kinds of rounds, all of them if none is named:
#   time		by the clock, from which under emulation only the ratios mean anything
#   pressure		with more pages than there is memory for
#   aging		which pages go to the disk, with several cgroups: events are counted
#   capacity		how much fits, as it comes and without a disk, before the out-of-memory killer comes;
#			capacity-512, capacity-2048, capacity-8192: with so many MiB of memory only. On User-mode Linux,
#			so the times are those of this machine, but page faults are slow
#   instructions	by QEMU's count of instructions, which repeats to a fraction of a percent however busy the machine is
#   age		the same, of pages that are not used for a while, and are compressed again
#   compile		the same, of a compiler in a cgroup that is too small for it
#   locks		which locks are taken, waited for and held while eight processes swap, by the kernel's own statistics;
#			locks-8, locks-1: with so many CPUs only
#   spill	what leaves the cache for a disk: bytes and requests, what the disk holds, faults, swapoff. spill-hdd: of a
#		disk that reads 150 times a second. SPILL_MIB=1024: so much, instead of 192 MiB. UNPACKED=BZIMAGE: beside a
#		kernel of the series whose backing device does not pack
#   zbud		zbud beside zsmalloc, both in one kernel (bench-zbud.sh)
#   density	how dense cold pages could be, in user space (bench-pages.sh); only if it is named, alone
#   cleaning	what cleaning the backing device's blocks costs, in a model in user space; only if it is named, alone
# All numbers go to build/bench/RUN.tsv, the table to RUN.txt beside it. At the end, report.sh makes build/bench/report.md of
# the newest numbers of each kind, so that kinds can be run on different days.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

# What is compared: a name, a kernel (see lib.sh), a mode (see guest/run-bench). A line more here is a
# column more in the table; the first ones are what the others are compared with.
machines=(
	'mainline-zswap base zswap'
	'mainline-zram base zram'
	'series series zswap'
	'ramzswap series ramzswap'
	'ramzswap-backing series ramzswap-backing'
	'no-swap base none'
	'zram-zstd base zram-zstd'
	'zswap-zstd base zswap-zstd'
	'ramzswap-hot series ramzswap-hot'
)
nr_references=2
[ -z "${UNPACKED:-}" ] || machines+=('unpacked unpacked ramzswap-backing')
if [ -n "${MACHINES:-}" ]; then
	some=() references=0
	for nr in "${!machines[@]}"; do
		[[ " $MACHINES " = *" ${machines[nr]%% *} "* ]] || continue
		some+=("${machines[nr]}")
		[ "$nr" -ge "$nr_references" ] || references=$((references + 1))
	done
	[ ${#some[@]} = "$(wc -w <<<"$MACHINES")" ] || die "MACHINES=$MACHINES has an unknown name" \
		"There are: $(printf '%s\n' "${machines[@]}" | cut -d' ' -f1 | paste -sd' ')."
	machines=("${some[@]}") nr_references=$references
fi
spill=${SPILL_MIB:-192}
pages=pages
[ "$spill" = 192 ] || pages+=-$spill

# Under pressure: memory, how many percent of it compressed pages may take, the disk for the others (MiB); how
# much is written and never used again, how much is used (MiB), and how often a page of that.
memory=512 limit=20 disk=1536
cold=640 hot=480 touches=200000

# What each of them does: the kind of rounds, a name and a command. A line more here is some lines more in the
# table; the command prints "METRIC VALUE" lines, and table.py has the titles of the metrics.
cases=(
	'time 4k swapbench -f 4 -m'
	'time 64k swapbench -f 64 -m'
	'time 16k swapbench -f 16'
	'time 64k-random swapbench -f 64 -r'
	'time 16k-random swapbench -f 16 -r'
	"pressure inversion inversion $cold $hot $touches"
	'aging idle aging idle'
	'aging many aging many'
	'aging fourth aging fourth'
	'aging fourth-write aging fourth-write'
	'aging read aging read'
	'aging thp aging thp'
	'capacity-512 512M capacity real'
	'capacity-2048 2G capacity real'
	'capacity-2048 2G-half capacity half'
	'capacity-2048 2G-random capacity random'
	'capacity-8192 8G capacity real'
	'age 10-s swapbench -n 8192 -p 0 -a 10'
	'age 60-s swapbench -n 8192 -p 0 -a 60'
	'age 300-s swapbench -n 8192 -p 0 -a 300'
	'age latency age latency'
	'age mixed age mixed'
	'age busy age busy'
	# Waits are counted with many CPUs. How long a lock is held is told by a clock that counts instructions, with one.
	'locks-8 8-cpus locks 8 24'
	'locks-1 1-cpu locks 8 24'
	'spill-ssd held spill held'
	'spill-ssd cold spill cold'
	"spill-ssd $pages spill $spill"
	"spill-hdd $pages spill $spill"
	# 80 % of the memory that it needs. The first case has to find out how much that is.
	'compile 4k compile 80'
	'compile 16k+64k compile 80 16 64'
	# The instructions are the same in every pass, and fewer pages will do.
	'instructions 4k swapbench -f 4 -n 3072 -p 1'
	'instructions 64k swapbench -f 64 -n 3072 -p 1'
	'instructions 16k swapbench -f 16 -n 3072 -p 1'
	'instructions 64k-random swapbench -f 64 -r -n 3072 -p 1'
	'instructions 16k-random swapbench -f 16 -r -n 3072 -p 1'
)

rounds=${ROUNDS:-5}
compile_rounds=$((rounds > 2 ? 2 : rounds)) # of ten minutes
guest=$BUILD/guest/bench
out=$BUILD/bench
run=$(date +%Y%m%d-%H%M%S)
raw=$out/$run.tsv

# Does a machine take part? Without a disk, there is no place for what does not fit; and what is asked of a
# compiler is which folios come in from zswap. takes_part CLOCK MODE
takes_part() {
	case $1-$2 in
	age-*) [ "$2" != none ] && [ "$2" != ramzswap-backing ] ;;
	*-zswap-zstd | *-ramzswap-hot) false ;;
	pressure-ramzswap) false ;;
	aging-*) [ "$2" = zswap ] || [ "$2" = ramzswap-backing ] ;;
	capacity-*) [ "$2" != "${2#zram}" ] || [ "$2" = ramzswap ] || [ "$2" = none ] ;;
	*-none | *-zram-zstd) false ;;
	spill-*) [ "$2" = zswap ] || [ "$2" = ramzswap-backing ] ;;
	locks-*) [ "$2" != zram ] && [ "$2" != ramzswap-backing ] ;;
	compile-*) [ "$2" = zswap ] ;;
	esac
}

# What takes minutes where nothing is emulated would take hours. capacity_kernel KERNEL
capacity_kernel() {
	case $1 in
	base) echo uml-base ;;
	series) echo uml ;;
	esac
}

# Boots a machine; its process id is added to pids. start CLOCK NAME KERNEL MODE
start() {
	local clock=$1 name=$2 kernel=$3 mode=$4 boot=vm.sh vm=() files=() cmdline=MODE=$4

	[ "$clock" = "${clock#locks}" ] || kernel+=-lockstat
	case $clock-$mode in
	pressure-* | aging-*) vm+=(-m "$memory" -s "$disk") cmdline+=" LIMIT=$limit" ;;
	capacity-*) vm+=(-m "${clock#*-}") cmdline+=' CAPACITY=yes' boot=um.sh kernel=$(capacity_kernel "$kernel") ;;
	spill-*)
		vm+=(-m $((spill + 384)) -s $((spill + 64)))
		cmdline+=' LIMIT=1 FACTOR=5'
		[ "$clock" != spill-hdd ] || vm+=(-S throttling.iops-read=150)
		;;
	locks-*)
		vm+=(-m 1024)
		[ "$mode" != zswap ] || vm+=(-s 256)
		if [ "$clock" = locks-1 ]; then vm+=(-I); else vm+=(-j "${clock#*-}"); fi
		;;
	compile-*) vm+=(-m 1024 -s 512 -I) files=("$TOP/scripts/guest/compile" "$guest/cc") ;;
	*-zram | *-zram-zstd | *-ramzswap | *-ramzswap-hot) vm+=(-m 1024) ;;
	*) vm+=(-m 1024 -s 128) ;;
	esac
	[ "$mode" = "${mode#zram}" ] || cmdline+=' zswap.enabled=0' # zram is at its best only if zswap never was enabled
	case $clock in instructions | age) vm+=(-I) ;; esac
	"$TOP/scripts/$boot" -k "$guest/$kernel.bzImage" -t 3600 -n "bench-$name-$clock" -c "$cmdline" "${vm[@]}" \
		"$TOP/scripts/guest/run-bench" "$guest"/{swapbench,inversion,aging,age,capacity,locks,spill} "$guest/$clock.cases/cases" "${files[@]}" \
		"$BUILD"/pages/{redis,python,compiler}.pages >/dev/null &
	pids+=($!)
}

# Waits for the machine that was started first, and keeps what it measured. finish CLOCK ROUND NAME
finish() {
	local log=bench-$3-$1 status=0

	wait "${pids[0]}" || status=$?
	pids=("${pids[@]:1}")
	[ "$status" = 0 ] || die "$3 fails (status $status)" "See $LOGS/$log.log and .kernel.log."
	tr -d '\r' <"$LOGS/$log.log" | awk -v OFS='\t' -v prefix="$1 $2 $3" '
		BEGIN { split(prefix, p, " ") }
		/^@case / { name = $2; next }
		/^@end / { name = ""; next }
		name && NF == 2 { print p[1], p[2], p[3], name, $1, $2 }' >>"$raw"
}

describe() {
	local changes=''

	[ -z "$(git -C "$TREE" status --porcelain -uno)" ] || changes=' with uncommitted changes'
	echo "command: $command"
	echo "run $run, $rounds rounds, load at the beginning: $(cut -d' ' -f1-3 /proc/loadavg)"
	echo "machine: $(nproc) x $(sed -n 's/^model name[^:]*: //p;T;q' /proc/cpuinfo)," \
		"$(qemu-system-x86_64 --version | sed -n 's/^QEMU emulator version/QEMU/p;q'), TCG, 1 GiB"
	echo "inversion: $memory MiB, of which compressed pages may take $limit %, and a disk; $cold MiB are written once," \
		"then $hot MiB; pages of these are used $touches times"
	echo "base: $(cat "$BUILD/obj/base/include/config/kernel.release") ($(base_rev | cut -c1-12))," \
		"series: $(cat "$BUILD/obj/series/include/config/kernel.release")" \
		"($(series_rev | cut -c1-12)$changes)${no_build:+, the kernels not brought up to date}"
	echo "pages: $(cd "$BUILD/pages" && sha256sum ./{redis,python,compiler}.pages | sed -E 's|^(.{12}).* \./(.*)\.pages|\2 \1|' | paste -sd,)"
}

# With what the environment changes
command="${ROUNDS:+ROUNDS=$ROUNDS }${MACHINES:+MACHINES=\"$MACHINES\" }${SPILL_MIB:+SPILL_MIB=$SPILL_MIB }${TOGETHER:+TOGETHER=$TOGETHER }${UNPACKED:+UNPACKED=$UNPACKED }scripts/bench.sh${*:+ $*}"
no_build='' kinds=()
for arg; do
	case $arg in
	--no-build) no_build=yes ;;
	time | pressure | age | aging | capacity | instructions | locks | compile | spill | zbud | density | cleaning | capacity-* | locks-* | spill-*) kinds+=("$arg") ;;
	*) die "unknown option $arg" "The first lines of $0 say which there are." ;;
	esac
done
[ ${#kinds[@]} != 0 ] || kinds=(instructions age compile time pressure aging capacity spill locks zbud)
wanted() { [[ " ${kinds[*]} " = *" ${1%%-*} "* || " ${kinds[*]} " = *" $1 "* ]]; }

case ${kinds[*]} in
density | cleaning)
	"$TOP/scripts/bench-pages.sh" "${kinds[*]}"
	[ "${kinds[*]}" = density ] || "$TOP/scripts/report.sh"
	exit
	;;
*density* | *cleaning*) die "density and cleaning run alone" "Name one kind only." ;;
esac

lock "$BUILD" bench
need_pkgs build vm
mkdir -p "$out" "$LOGS" "$guest"
mapfile -t kernels < <(printf '%s\n' "${machines[@]}" | cut -d' ' -f2 | sort -u)
[[ " ${kinds[*]}" != *' locks'* ]] || kernels+=("${kernels[@]/%/-lockstat}")
[[ " ${kinds[*]}" != *' capacity'* ]] || kernels+=("$(capacity_kernel base)" "$(capacity_kernel series)")
for kernel in "${kernels[@]}"; do
	[ "$kernel" != unpacked ] || { cp "$UNPACKED" "$guest/unpacked.bzImage" && continue; }
	[ -n "$no_build" ] || build_kernel "$kernel"
	# The same kernel in all rounds, whatever is built meanwhile
	cp "$(kernel_image "$kernel")" "$guest/$kernel.bzImage" || die "there is no kernel $kernel"
done
"$TOP/scripts/bench/record.sh"

say "compiling swapbench"
make -s -C "$TREE/tools/testing/selftests/ramzswap" OUTPUT="$guest" LDFLAGS=-static "$guest/swapbench" \
	>"$LOGS/bench.build.log" 2>&1 || die "swapbench does not compile; see $LOGS/bench.build.log"
for program in inversion age aging capacity locks spill; do
	gcc -O2 -Wall -Wextra -static -o "$guest/$program" "$TOP/scripts/bench/$program.c"
done
# A compiler with its libraries, and a file of the kernel for it
mkdir -p "$guest/cc"
cc1=$(gcc -print-prog-name=cc1)
ldd "$cc1" | grep -o '/[^ ]*' | xargs cp -L -t "$guest/cc" "$cc1"
! wanted compile || make -s -C "$BASE_TREE" O="$BUILD/obj/base" ARCH=x86_64 LOCALVERSION='' CC='ccache gcc' kernel/sched/core.i \
	>>"$LOGS/bench.build.log" 2>&1 || die "kernel/sched/core.i cannot be made; see $LOGS/bench.build.log"
! wanted compile || cp "$BUILD/obj/base/kernel/sched/core.i" "$guest/cc/unit.i"
for clock in $(printf '%s\n' "${cases[@]}" | cut -d' ' -f1 | sort -u); do
	mkdir -p "$guest/$clock.cases"
	printf '%s\n' "${cases[@]}" | sed -n "s/^$clock //p" >"$guest/$clock.cases/cases"
done
{
	describe | sed 's/^/# /'
	printf '# clock\tround\tmachine\tcase\tmetric\tvalue\n'
} >"$raw"

pids=()
trap '[ ${#pids[@]} = 0 ] || kill "${pids[@]}" 2>/dev/null || :' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# Machines whose instructions are counted do not disturb each other; the others come one after the other, or with
# TOGETHER=yes at once, which is faster, and only what is counted means something.
for clock in instructions age compile time pressure aging capacity-512 capacity-2048 capacity-8192 spill-ssd spill-hdd locks-8 locks-1; do
	wanted "$clock" || continue
	nr=$rounds together=${TOGETHER:-} begin=$SECONDS
	case $clock in
	instructions) together=yes ;;
	age | compile) together=yes nr=$compile_rounds ;;
	esac
	for ((round = 1; round <= nr; round++)); do
		names=()
		for machine in "${machines[@]}"; do
			read -r name kernel mode <<<"$machine"
			takes_part "$clock" "$mode" || continue
			say "$clock, round $round of $nr: $name"
			start "$clock" "$name" "$kernel" "$mode"
			if [ -n "$together" ]; then names+=("$name"); else finish "$clock" "$round" "$name"; fi
		done
		for name in "${names[@]}"; do
			finish "$clock" "$round" "$name"
		done
	done
	echo "# $clock: $nr rounds in $((SECONDS - begin)) s" >>"$raw"
done

{
	sed -n 's/^# //p' "$raw" | grep -v '^clock'
	echo
	python3 "$TOP/scripts/bench/table.py" "$raw" "$nr_references"
} | tee "$out/$run.txt"
say "all numbers are in $raw, the table in $out/$run.txt"

if wanted zbud; then
	say "and zbud beside zsmalloc, both in one kernel"
	"$TOP/scripts/bench-zbud.sh" ${no_build:+--no-build}
fi
"$TOP/scripts/report.sh"
