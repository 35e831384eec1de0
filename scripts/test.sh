#!/bin/bash
# Everything that CI runs. Each step prints a line for each result (see ok, not_ok and skip in lib.sh);
# here they are added up. The whole output is in build/test.log.
#
# Usage: test.sh [STEP]...    for instance: test.sh check 'vm-test series'
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

# Each is a script with its arguments. vm-test.sh boots the unpatched base too, to compare with.
steps=(
	'check'
	'apply-other'
	'kunit'
	'patches-build'
	'vm-test series'
	'boot-test'
	'power-cut'
	'vm-test debug'
)
[ $# = 0 ] || steps=("$@")

lock "$BUILD" test
log=$BUILD/test.log
: >"$log"

# step COMMAND [ARGUMENT]...: a script that dies, or that has no result to show, is a failure itself.
step() {
	local name=$* script=$TOP/scripts/$1.sh out=$BUILD/test-step.log status=0 start=$SECONDS
	shift

	say "$name"
	"$script" "$@" 2>&1 </dev/null | tee "$out" || status=$?
	if ! grep -qE '^(not ok|ok|skip) - ' "$out"; then
		not_ok "$name # no results, exit status $status" | tee -a "$out"
	elif [ $status != 0 ] && ! grep -q '^not ok - ' "$out"; then
		not_ok "$name # exit status $status" | tee -a "$out"
	fi
	say "$name took $((SECONDS - start)) s"
	cat "$out" >>"$log"
	rm -f "$out"
}

# With the tree as its own step, nothing else runs for nothing if there is none.
if ! "$TOP/scripts/base.sh" 2>&1 </dev/null | tee -a "$log"; then
	not_ok "make tree" | tee -a "$log"
else
	for name in "${steps[@]}"; do
		read -ra words <<<"$name"
		step "${words[@]}"
	done
fi

passed=$(grep -c '^ok - ' "$log" || :)
failed=$(grep -c '^not ok - ' "$log" || :)
skipped=$(grep -c '^skip - ' "$log" || :)
echo
[ "$failed" = 0 ] || say "failed:"
grep '^not ok - ' "$log" || :
echo "$passed passed, $failed failed, $skipped skipped" | tee -a "$log"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
