#!/bin/bash
# Everything that CI runs. Each step prints a line for each result (see ok, not_ok and skip in lib.sh);
# here they are added up. The whole output is in build/test.log; how long each step took is in a table at its end.
#
# Usage: test.sh			what CI has time for ("make test")
#	 test.sh --all			all there is, without a limit of time ("make test-all")
#	 test.sh --list			the names of all steps
#	 test.sh STEP...		these, for instance: test.sh check 'vm-test series'
#
# FRESH=1: run what passed before, too. Otherwise a step that passed with the same series, base, scripts,
# compiler and emulator is not run again; its results are shown with "# cached".
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

if [ "${1:-}" = --kernel ]; then # a step of the build lane
	build_kernel "$2"
	exit
fi

# Each is a script with its arguments. Two lanes run side by side: virtual machines, one at a time; and, at a lower
# priority, what only compiles and compares, in the time that the machines leave. vm-test.sh boots the unpatched
# base too, to compare with.
vm_lane=(
	'kunit'
	'vm-test series'
	'boot-test'
	'power-cut'
)
build_lane=(
	'check'
	'rebase'
)
# What there is no time for in CI
vm_lane_all=(
	'vm-test debug --quick'
	'vm-test debug --slow'
	'vm-test kcsan'
	'mm-selftests'
	'arch-test arm64-64k'
	'arch-test s390x'
	'arch-test arm64-4k'
	'arch-test i386-highmem'
	'try-debian'
)
build_lane_all=(
	'htmldocs'
	'patches-build'
	'kernel debug'
	'configs-build --all'
)

# What a later run need not do again; the others are quick, or (patches-build) keep results of their own.
kept_steps='^(check|htmldocs|kunit|boot-test|power-cut|mm-selftests|arch-test .*|configs-build.*|vm-test .*)$'

# Seconds for a step. Virtual machines have limits of their own; this one is for what hangs.
limit=36000
case ${1:-} in
'') limit=5400 ;;
--all)
	vm_lane+=("${vm_lane_all[@]}")
	build_lane+=("${build_lane_all[@]}")
	;;
--list)
	say "make test:"
	printf '%s\n' "${vm_lane[@]}" "${build_lane[@]}" | sed '/^kernel /d; s/^/    /'
	say "make test-all also:"
	printf '%s\n' "${vm_lane_all[@]}" "${build_lane_all[@]}" | sed '/^$/d; s/^/    /'
	exit
	;;
-*) die "unknown option $1" "The first lines of $0 say which there are." ;;
*) vm_lane=("$@") build_lane=() ;;
esac

lock "$BUILD" test
log=$BUILD/test.log
steps=$BUILD/test-steps
: >"$log"
rm -rf "$steps"
mkdir -p "$steps"

# What a step's result depends on, or nothing if that cannot be said.
ids() {
	tree_is_clean "$TREE" || return 0
	[ ! -e "$BASE_TREE/.git" ] || tree_is_clean "$BASE_TREE" || return 0
	tree_id HEAD && tree_id "$(base_rev)" && scripts_id && tools_id
}
step_key() {
	[ -n "$ids" ] && [[ $1 =~ $kept_steps ]] || return 0
	{
		echo "$ids"
		case $1 in
		check) repository_id ;;
		arch-test* | configs-build*) tools_id --cross ;;
		esac
	} | result_key "$1"
}

# All of the repository's files, the messages of the series, and which mirror apt has
repository_id() {
	git -C "$TOP" ls-files
	(cd "$TOP" && git ls-files -z -co --exclude-standard | xargs -0 sha256sum 2>&1)
	git -C "$TREE" log --reverse --format='%T %an %ae %at %B' "$(base_rev)..HEAD"
	apt-get indextargets --no-release-info 2>/dev/null || :
}

# Is there something to do that "vm-test KERNEL" needs a kernel for?
kernel_is_used() {
	local name

	for name in "${vm_lane[@]}"; do
		[[ "$name " != "vm-test $1 "* ]] || kept_result "$(step_key "$name")" >/dev/null || return 0
	done
	return 1
}

# execute LANE OUT NAME COMMAND...: with a limit of time. The lane of the machines shows what they say as they say
# it, the other one at the end. Sets status and cpu.
execute() {
	local lane=$1 out=$2 name=$3
	shift 3

	[ "$lane" = vm ] || set -- nice -n 10 "$@"
	TIMEFORMAT='%U %S'
	status=0
	# timeout has a process group of its own; its number is for stop().
	{ time {
		# shellcheck disable=SC2016 # for the inner shell
		sh -c 'echo $$ >"$0"; exec timeout -k 60 "$@"' "$steps/$lane.pid" "$limit" "$@" 2>&1 </dev/null |
			if [ "$lane" = vm ]; then tee "$out"; else cat >"$out"; fi
	}; } 2>"$steps/$lane.cpu" || status=$?
	rm -f "$steps/$lane.pid"
	cpu=$(awk '{ printf "%.0f", $1 + $2 }' "$steps/$lane.cpu")
	if [[ $name = kernel\ * ]]; then
		: # the step that boots it has results
	elif ! grep -qE '^(not ok|ok|skip) - ' "$out"; then
		not_ok "$name # no results, exit status $status"
	elif [ $status != 0 ] && ! grep -q '^not ok - ' "$out"; then
		not_ok "$name # exit status $status"
	fi >"$out.more"
	cat "$out.more" >>"$out"
	if [ "$lane" = vm ]; then cat "$out.more"; else cat "$out"; fi
	rm -f "$out.more"
}

# step LANE NUMBER NAME: a script that dies, or that has no result to show, is a failure itself.
step() {
	local lane=$1 name=$3 out=$steps/$1-$2.out start=$SECONDS status=0 key file='' cpu=0 words how=run
	read -ra words <<<"$name"

	key=$(step_key "$name")
	if file=$(kept_result "$key"); then
		how=cached
		{ head -n 1 "$file" && cached_lines <"$file"; } >"$out"
		say "$name"
		cat "$out"
	elif [ "${words[0]}" = kernel ]; then
		kernel_is_used "${words[1]}" || return 0
		execute "$lane" "$out" "$name" "$TOP/scripts/test.sh" --kernel "${words[1]}"
	else
		[ "$lane" != vm ] || say "$name"
		execute "$lane" "$out" "$name" "$TOP/scripts/${words[0]}.sh" "${words[@]:1}"
		# All of it passed, and nothing has changed meanwhile.
		if [ -n "$key" ] && [ $status = 0 ] && ! grep -q '^not ok - ' "$out" && grep -q '^ok - ' "$out" &&
			ids=$(ids) && [ "$key" = "$(step_key "$name")" ]; then
			{
				say "$name passed on $(date -u '+%F %R UTC'); what it depends on is as it was (FRESH=1 runs it)"
				grep -E '^(ok|skip) - ' "$out"
			} | keep_result "$key"
		fi
		say "$name took $((SECONDS - start)) s"
		# A script may keep results of its own.
		! grep -q '^ok - .*# cached' "$out" ||
			how="$(grep -c '^ok - .*# cached' "$out") of $(grep -cE '^(not )?ok - ' "$out") results cached"
	fi
	printf '%s\t%s\t%s\t%s\n' "$name" $((SECONDS - start)) "$cpu" "$how" >"$steps/$1-$2.time"
}

# lane NAME STEP...
lane() {
	local lane=$1 number=0 name
	shift

	for name; do
		number=$((number + 1))
		step "$lane" $number "$name"
	done
}

# The lanes do not see Ctrl-C, and so are told. End only what was started here.
lanes=()
# shellcheck disable=SC2329 # called by a trap
stop() {
	local file

	[ ${#lanes[@]} = 0 ] || kill "${lanes[@]}" 2>/dev/null || :
	for file in "$steps"/*.pid; do
		[ ! -s "$file" ] || kill "$(cat "$file")" 2>/dev/null || :
	done
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# With the tree as its own step, nothing else runs for nothing if there is none.
if ! "$TOP/scripts/base.sh" 2>&1 </dev/null | tee -a "$log"; then
	not_ok "make tree" | tee -a "$log"
	vm_lane=() build_lane=()
	printf 'tree\t%s\t0\trun\n' "$SECONDS" >"$steps/tree.time"
else
	printf 'tree\t%s\t0\trun\n' "$SECONDS" >"$steps/tree.time"
	# All at once: which versions there are is part of what results depend on. Who needs one that cannot be had says so.
	("$TOP/scripts/deps.sh" tree build vm check mount util-linux xfsprogs) || :
	ids=$(ids) || ids=''
	lane vm "${vm_lane[@]}" &
	lanes+=($!)
	lane build "${build_lane[@]}" &
	lanes+=($!)
	wait "${lanes[@]}" || :
	lanes=()
fi

# collect LANE STEP...: their output to the log, one after the other. A step that the lane did not come to failed.
collect() {
	local lane=$1 number=0 name
	shift

	for name; do
		number=$((number + 1))
		say "$name"
		cat "$steps/$lane-$number.out" 2>/dev/null || :
		[ -f "$steps/$lane-$number.time" ] || [[ $name = kernel\ * ]] || not_ok "$name # it did not come to its end"
	done
}
{
	collect vm "${vm_lane[@]}"
	collect build "${build_lane[@]}"
} >>"$log"

# What took how long: the steps, and the programs in the virtual machines
table() {
	local lane number

	printf '%-28s %8s %8s\n' step seconds 'CPU s'
	for lane in tree vm build; do
		for number in '' {1..99}; do
			[ ! -f "$steps/$lane${number:+-$number}.time" ] || cat "$steps/$lane${number:+-$number}.time"
		done
	done | awk -F'\t' '{ printf "%-28s %8d %8d  %s\n", $1, $2, $3, $4 == "run" ? "" : $4 }'
	printf '%-28s %8d           (lanes run side by side)\n' 'all' $SECONDS
	grep '^time - ' "$log" | sort -k 5nr | head -n 16 | sed 's/^time - /    /' || :
}

passed=$(grep -c '^ok - ' "$log" || :)
failed=$(grep -c '^not ok - ' "$log" || :)
skipped=$(grep -c '^skip - ' "$log" || :)
echo
table | tee -a "$log"
echo
[ "$failed" = 0 ] || say "failed:"
grep '^not ok - ' "$log" || :
echo "$passed passed, $failed failed, $skipped skipped" | tee -a "$log"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
