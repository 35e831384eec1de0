#!/bin/bash
# Boot the series with good and bad values of ramzswap's parameters, and see how many devices that makes, how
# large they are, and whether the kernel's log names the value that it does not take, and the limits. In a last
# boot, util-linux's programs have a look at the device. Then, what needs a boot of its own: nothing to write back,
# and the memory controller of cgroup v1.
#
# Usage: boot-test.sh [KERNEL]		a name as in lib.sh (default: series), or the path of a bzImage
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

kernel=${1:-series}
need_pkgs vm util-linux mount
[[ $kernel = */* ]] || build_kernel "$kernel"
lock "$BUILD" boot-test
workdir "$BUILD/tmp-boot-test"
boots=0

# A machine boots on one CPU, and two of them do so at a time. Each has a directory $here: in $here/result is what
# its test says, in $here/out what it prints, and in $here/said what ramzswap says in the kernel's log.

# result NAME COMMAND...: one result; what the machine has said is shown if it fails.
result() {
	local name=$1
	shift
	if "$@"; then
		ok "$name"
	else
		not_ok "$name"
		sed 's/^/    /' "$here/out" "$here/said"
	fi
}

# guest NAME CMDLINE [FILE]...: boots a machine
guest() {
	local name=$1 cmdline=$2 status=0 log=boot-test-${here##*/}
	shift 2
	: >"$here/said"
	"$TOP/scripts/vm.sh" -k "$kernel" -m 256 -j 1 -t 240 -n "$log" -c "$cmdline" \
		"$TOP/scripts/guest/run-boot" "$@" >"$here/out" || status=$?
	sed -n 's/^\[ *[0-9.]*\] ramzswap: //p' "$LOGS/$log.kernel.log" | tr -d '\r' >"$here/said"
	[ $status = 0 ] && return
	cat "$here/out"
	grep -q '^not ok' "$here/out" || not_ok "boot: $name # vm.sh says $status; see $LOGS/$log.log"
	return $status
}

# devices_are NUMBER SIZE: in bytes, or N% of memory. That grows a bit after the devices have been made.
devices_are() {
	awk -v number="$1" -v size="$2" '
		$1 == "device" { bytes[++nr] = $3; works += $4 == "works" }
		$1 == "memory" { memory = $2 }
		END {
			min = max = size
			if (sub(/%$/, "", size)) { min = memory * size / 100 * 0.9; max = memory * size / 100 * 1.1 }
			for (i in bytes) good += bytes[i] >= min && bytes[i] <= max
			exit nr != number || works != number || good != number
		}' "$here/out"
}

says_nothing() { [ ! -s "$here/said" ]; }

# One line about each parameter that is not taken. says LINES WORD...
says() {
	local lines=$1 word
	shift
	[ "$(wc -l <"$here/said")" = "$lines" ] || return
	for word; do
		grep -qwF -e "$word" "$here/said" || return
	done
}

# boot PARAMETERS NUMBER SIZE [WORD]...: with WORDs, something is wrong, and the log has them.
boot() { start boot_one "$@"; }
boot_one() {
	local parameters=$1 number=$2 size=$3 cmdline='' p
	local name="boot: ${1:-no parameter}"
	shift 3
	for p in $parameters; do cmdline+=" ramzswap.$p"; done
	guest "${parameters:-no parameter}" "$cmdline" || return 0
	result "$name: devices are as many and as large as they should be" devices_are "$number" "$size"
	if [ $# = 0 ]; then
		result "$name: the log has no complaint" says_nothing
	else
		result "$name: the log names value and limits" says "$(wc -w <<<"$parameters")" "$@"
	fi
}

# start COMMAND...: beside one other
start() {
	boots=$((boots + 1))
	[ $boots -le 2 ] || wait -n || :
	beside "$WORK/$boots" "$@" &
}
beside() {
	here=$1
	mkdir "$here"
	"${@:2}" >"$here/result" 2>&1 || :
	: >"$here/done"
}

# The programs, and the libraries that they need, from this machine.
make_tools() {
	local program path ldd
	mkdir "$WORK/tools"
	for program in mkswap swapon swapoff blkid lsblk; do
		path=$(PATH=$PATH:/usr/sbin:/sbin command -v $program) || return
		cp -L "$path" "$WORK/tools/$program"
		ldd=$(ldd "$path") || return
		awk '$2 == "=>" { print $3 } $1 ~ "^/" { print $1 }' <<<"$ldd" | xargs cp -Lt "$WORK/tools" || return
	done
}

most=32
sizes=(8192 $((0xffffffff * 4096)))

say "booting with each of ramzswap's parameters; output in $LOGS/boot-test-*.log"
boot '' 1 400%
boot num_devices=$most $most 400%
boot num_devices=0 0 0
boot disksize=64M 1 $((64 << 20))
boot disksize=0x1000001 1 $((0x1001000))
boot disksize=50% 1 50%
boot disksize=150% 1 150%
boot 'num_devices=2 disksize=8192' 2 8192
for bad in 33 4294967297 -1 x 2x ''; do
	boot num_devices=$bad 1 400% num_devices=$bad $most
done
for bad in 0 4096 $((sizes[1] + 1)) 16E 99999999999999999999 -1 12Q 1G1 % 5000000000000% ''; do
	boot disksize="$bad" 1 400% disksize="$bad" "${sizes[@]}"
done
boot 'num_devices=many disksize=much' 1 400% num_devices=many $most disksize=much "${sizes[@]}"

util_linux() {
	if ! make_tools; then
		skip "boot: util-linux" "its programs are not on this machine"
	elif guest util-linux '' "$WORK/tools"; then
		grep '^ok' "$here/out"
	fi
}
start util_linux
wait

failed=0
for ((i = 1; i <= boots; i++)); do
	cat "$WORK/$i/result" || :
	if [ ! -f "$WORK/$i/done" ]; then
		not_ok "boot: boot $i # it did not come to its end"
	elif ! grep -qE '^(ok|not ok|skip) - ' "$WORK/$i/result"; then
		not_ok "boot: boot $i # no results; see $LOGS/boot-test-$i.log"
	else
		! grep -q '^not ok' "$WORK/$i/result" || failed=1
		continue
	fi
	failed=1
done

# alone NAME EXPECTED COMMAND...: one result, of a machine that nothing runs beside. Each line of EXPECTED matches a line
# that it prints.
alone() {
	local name=$1 expected=$2
	shift 2
	if "$TOP/scripts/vm.sh" -k "$kernel" -m 512 -t 300 "$@" >"$WORK/alone.out" && prints "$expected"; then
		ok "$name"
	else
		not_ok "$name"
		sed 's/^/    /' "$WORK/alone.out"
		failed=1
	fi
}

prints() {
	local pattern

	while read -r pattern; do
		grep -q "$pattern" "$WORK/alone.out" || return
	done <<<"$1"
}

# With nothing to write back, no worker that makes room must run.
gcc -O2 -Wall -Wextra -static -o "$WORK/idle" "$TOP/scripts/guest/idle.c"
for memcg in '' cgroup_disable=memory; do
	alone "boot: ${memcg:-with memcg}: idle with a full device" '' -n boot-test-idle -c "$memcg" "$WORK/idle"
	truncate -s 16M "$WORK/backing"
	alone "boot: ${memcg:-with memcg}: idle with a full device and a full backing device" '' \
		-n boot-test-idle-backing -c "$memcg" -w "backing=$WORK/backing" "$WORK/idle"
done
# cgroup v1 charges for memory and swap together, and has no memory controller for cgroup2 in that boot.
make -s -C "$TREE/tools/testing/selftests/ramzswap" OUTPUT="$WORK" LDFLAGS=-static "$WORK"/{failing_disk,memory_failure} \
	>"$WORK/build.log" 2>&1 || {
	cat "$WORK/build.log" >&2
	die "the selftests failing_disk and memory_failure do not compile"
}
# Without zswap, large folios come from a swap file. run_vmtests.sh runs it so, too.
compile_mm_tests "$TREE" "$WORK" >"$WORK/mm-tests"
alone 'boot: a swap file with scattered blocks' '^ok 1 ' -n boot-test-swapfile -c zswap.enabled=0 "$WORK/swapfile_extents"
# Memory to be unplugged is in a zone of its own.
alone 'boot: memory with pages of the pool is unplugged, and refuses to be if one is bad' \
	'^ok [0-9]* memory_failure.mixed.memory_can_be_unplugged$
	^ok [0-9]* memory_failure.mixed.memory_with_a_bad_frame_stays$' \
	-m 768 -s 256 -n boot-test-unplug -c movablecore=384M "$WORK/memory_failure"
alone 'boot: cgroup v1: refused writeback leaves the charge for swap' '^ok 1 failing.refuses_writeback' \
	-s 512 -n boot-test-memcg-v1 "$TOP/scripts/guest/run-memcg-v1" "$WORK/failing_disk"
[ $failed = 0 ]
