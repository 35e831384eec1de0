#!/bin/bash
# Run the series' KUnit suites on User-mode Linux, and print one result for each case.
#
# Usage: kunit.sh [KUNITCONFIG...]    files in the tree, by default all that the series has there
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

need_pkgs build
need_tree
configs=("$@")
# The first parts of the series have none yet, or one.
[ $# != 0 ] || mapfile -t configs < <(cd "$TREE" && printf '%s\n' mm/tests/{zbud,ramzswap_blocks}.kunitconfig |
	xargs -r ls 2>/dev/null)
[ ${#configs[@]} != 0 ] || { skip "kunit" "$TREE has no suite of the series" && exit; }
obj=$BUILD/obj/kunit
log=$BUILD/logs/kunit.log
json=$BUILD/logs/kunit.json

for config in "${configs[@]}"; do
	[ -f "$TREE/$config" ] || die "$TREE has no $config" "Name the series' .kunitconfig, or run 'make tree'."
done
need_space "$BUILD" 1000
lock "$BUILD" kunit
mkdir -p "$obj" "$BUILD/logs"
rm -f "$json"

say "building and running the KUnit suites of ${configs[*]} on UML (log: $log)"
status=0
(cd "$TREE" && python3 tools/testing/kunit/kunit.py run --arch=um "${configs[@]/#/--kunitconfig=}" --build_dir="$obj" \
	--kernel_args ncpus=2 --kernel_args seccomp=on --make_options CC='ccache gcc' \
	--jobs "$(nproc)" --timeout 600 --json="$json") >"$log" 2>&1 </dev/null ||
	status=$?

# A case with parameters is a group in itself, and counts as one.
[ ! -f "$json" ] || python3 - "$json" <<'END'
import json, sys

def report(name, status):
    if status == "SKIP":
        print(f"skip - {name} # KUnit skipped it")
    else:
        print(f"{'ok' if status == 'PASS' else 'not ok'} - {name}")

def group_status(group):
    counts = group["misc"]
    if counts["failed"] + counts["crashed"] + counts["errors"]:
        return "FAIL"
    return "PASS" if counts["passed"] else "SKIP"

with open(sys.argv[1]) as file:
    result = json.load(file)
for case in result["test_cases"]:
    report("kunit: " + case["name"], case["status"])
for suite in result["sub_groups"]:
    for case in suite["test_cases"]:
        report(f"kunit: {suite['name']}.{case['name']}", case["status"])
    for case in suite["sub_groups"]:
        report(f"kunit: {suite['name']}.{case['name']}", group_status(case))
END
if [ $status != 0 ]; then
	tail -n 40 "$log" | sed 's/^/    /'
	[ -f "$json" ] || not_ok "kunit: the kernel builds and runs its suites"
	die "kunit.py failed (status $status)" "The whole log is $log."
fi
