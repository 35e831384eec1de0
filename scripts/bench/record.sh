#!/bin/bash
# Record real pages for the benchmarks: build/pages/NAME.pages, 16 MiB each, from the memory of programs that
# run here for a few seconds. What is there already stays: remove it for new ones.
#
# Usage: record.sh [NAME]...	by default redis, python and compiler; there are also database and browser
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../lib.sh"

here=$TOP/scripts/bench
pages=$BUILD/pages
nr_pages=4096

missing=()
[ $# -gt 0 ] || set -- redis python compiler
for name in "$@"; do
	[ -f "$pages/$name.pages" ] || missing+=("$name")
done
[ ${#missing[@]} -gt 0 ] || exit 0

lock "$BUILD" pages
need_space "$BUILD" 200
base_worktree
sources=$BASE_TREE/drivers
workdir "$BUILD/tmp-pages"
mkdir -p "$pages"
gcc -O2 -Wall -o "$WORK/pagerec" "$here/pagerec.c"

# record NAME MIB PROGRAM...: once it holds MIB
record() {
	"$WORK/pagerec" "$WORK/$1.pages" "$nr_pages" "${@:2}" ||
		die "no pages of $1 could be recorded" "What pagerec says is above."
	mv "$WORK/$1.pages" "$pages/"
}

# The server of the main job, with the libraries it came with; it ends with the recording, and its
# client when nobody answers any more.
record_redis() {
	local client

	"$TOP/scripts/redis-image.sh"
	PATH=$PATH:/usr/sbin debugfs -R "rdump / $WORK" "$BUILD/redis.img" >/dev/null 2>&1
	(
		until [ -S "$WORK/socket" ]; do sleep 0.1; done
		exec python3 "$here/workload.py" redis "$sources" "$WORK/socket"
	) &
	client=$!
	record redis 96 "$WORK/lib/ld-linux-x86-64.so.2" --library-path "$WORK/lib" "$WORK/bin/redis-server" \
		--port 0 --unixsocket "$WORK/socket" --save '' --appendonly no --loglevel warning
	wait "$client" || :
}

record_python() {
	record python 96 env PYTHONHASHSEED=0 python3 "$here/workload.py" python "$sources"
}

# cc1plus at work on what needs much of the standard library
record_compiler() {
	cat >"$WORK/unit.cc" <<-'END'
		#include <bits/stdc++.h>
		std::map<std::string, std::vector<std::regex>> rules;
		std::string apply(const std::string &text)
		{
			std::ostringstream out;
			for (auto &[name, list] : rules)
				for (auto &rule : list)
					out << name << std::regex_replace(text, rule, "$1");
			return out.str();
		}
	END
	g++ -std=c++17 -E -o "$WORK/unit.ii" "$WORK/unit.cc"
	record compiler 160 "$(g++ -print-prog-name=cc1plus)" -quiet -fpreprocessed -std=c++17 -O2 -g \
		-o /dev/null "$WORK/unit.ii"
}

record_database() {
	record database 96 env PYTHONHASHSEED=0 python3 "$here/workload.py" database "$sources"
}

record_browser() {
	local documents

	mapfile -t documents < <(find "$BASE_TREE/Documentation" -name '*.rst' | LC_ALL=C sort)
	gcc -O2 -Wall -o "$WORK/domheap" "$here/domheap.c"
	record browser 160 "$WORK/domheap" "${documents[@]}"
}

for name in "${missing[@]}"; do
	say "recording pages of $name"
	"record_$name"
done
