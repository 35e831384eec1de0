# shellcheck shell=bash disable=SC2034 # variables are for the scripts that read this file
# What all scripts share: paths, messages, locks, results. Read with ". scripts/lib.sh", never run.

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=$TOP/build${PART:+/part-$PART} # PART=n: the series up to part n, with a tree and objects of its own
TREE=${RAMZSWAP_TREE:-$BUILD/linux} # a git tree: the base, and on top the series; "make tree"
BASE_TREE=$TOP/build/base # a git worktree of TREE at the base; base_worktree makes it
CACHE=${RAMZSWAP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ramzswap}

# Debian's programs first: a python3 by way of pyenv's scripts takes longer than what it is called for.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH

# The same objects from the same source, wherever the repository lies.
export CCACHE_DIR=$CACHE/ccache CCACHE_BASEDIR=$BUILD CCACHE_NOHASHDIR=1

# The base that patches/ is exported from. Others of 7.3 do as well, but their hashes differ.
BASE_SUITE=trixie-backports
BASE_VERSION=7.3.4-1~bpo13+1
BASE_SHA256=703e369ddd4cce971452f5a593ee55df3a5c10c83caf0fa0df039633ed181ee3

# --- messages ----------------------------------------------------------------

say() { echo "== $*"; }

# die WHAT-HAPPENED [WHAT-TO-DO]...
die() {
	printf 'error: %s\n' "$1" >&2
	shift
	[ $# = 0 ] || printf '       %s\n' "$@" >&2
	exit 1
}

# Results of tests; scripts/test.sh adds them up. A name is the same in every run.
ok() { echo "ok - $*"; }
not_ok() { echo "not ok - $*"; }
skip() { echo "skip - $1 # $2"; } # skip NAME REASON

# --- what a run needs --------------------------------------------------------

# need_pkgs GROUP|PACKAGE...: see scripts/deps.sh
need_pkgs() { "$TOP/scripts/deps.sh" "$@" >&2 || exit; }

# need_space DIR MIB: DIR need not be there yet.
need_space() {
	local dir=$1 free

	while [ ! -d "$dir" ]; do dir=$(dirname "$dir"); done
	free=$(df -Pm "$dir" | awk 'END { print $4 }')
	[ "$free" -ge "$2" ] || die "$1 needs $2 MiB of disk space, and has $free" \
		"Make room there, or put the repository (for build/) or RAMZSWAP_CACHE elsewhere."
}

# Only one run at a time does what NAME stands for; a second one waits. Held until the script ends.
# lock DIR NAME
lock() {
	mkdir -p "$1"
	exec {lock_fd}>"$1/.$2.lock"
	flock -n "$lock_fd" && return
	say "waiting for another run that holds $1/.$2.lock" >&2
	flock "$lock_fd"
}

# An empty directory to work in, removed when the script ends; its path is in $WORK. What is finished
# is moved from there to its place in one step. Leftovers of a run that was killed are removed here, so
# call it with a lock held. workdir DIR
workdir() {
	[ -z "${WORK:-}" ] || die "workdir is called twice"
	rm -rf "$1"
	mkdir -p "$1"
	WORK=$1
	trap 'rm -rf "$WORK"' EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
}

# --- apt ---------------------------------------------------------------------

# apt with lists, cache and sources of its own, below WORK; the machine's stay as they are, and only say which
# mirror to use.
APT_KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

own_apt() {
	local cmd=$1
	shift
	"$cmd" -q -o Dir::Etc::sourcelist="$WORK/sources.list" -o Dir::Etc::sourceparts=- \
		-o Dir::Etc::preferences=- -o Dir::Etc::preferencesparts=- \
		-o Dir::State="$WORK/state" -o Dir::State::lists="$WORK/lists" -o Dir::State::status=/dev/null \
		-o Dir::Cache="$WORK/cache" -o APT::Sandbox::User="$(id -un)" \
		-o Acquire::Languages=none -o Acquire::Retries=3 -o Acquire::http::Timeout=30 \
		-o APT::Update::Error-Mode=any "$@"
}

# own_apt_init SOURCE: a line of sources.list
own_apt_init() {
	mkdir -p "$WORK"/{state,lists/partial,cache/archives/partial}
	echo "$1" >"$WORK/sources.list"
}

apt_codename() {
	# shellcheck source=/dev/null
	(. /etc/os-release && echo "${VERSION_CODENAME:-}")
}

apt_mirror() {
	# shellcheck disable=SC2016 # these are apt's variables
	apt-get indextargets --no-release-info --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
		awk -v c="$(apt_codename)" '($2 == c || $2 == "stable") && $3 == "main" && !/^cdrom/ { print $1; exit }'
}

# --- the tree ----------------------------------------------------------------

# git that the user's configuration does not influence
plain_git() { GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 git "$@"; }

# Commits of the base and of the series' end. With LINUX=, the base is what the clone's tag says.
base_rev() {
	git -C "$TREE" rev-parse -q --verify 'refs/tags/ramzswap-base^{commit}' ||
		git -C "$TREE" rev-parse -q --verify 'refs/tags/v7.3^{commit}' ||
		die "$TREE has no tag ramzswap-base (nor v7.3)" "Run 'make tree'; see README.md."
}
series_rev() { git -C "$TREE" rev-parse -q --verify 'HEAD^{commit}'; }

# The patches of all parts, or of the first $PART ones. "series" says where a part begins.
patch_files() {
	awk -v last="${PART:-999}" -v dir="$TOP/patches/" '
		/^# part [0-9]+:/ { part = $3 + 0 }
		!/^#/ && part <= last { print dir $1 }' "$TOP/series"
}

# A hash of these patches. TREE's git directory has the one that the tree was made of, and the commit at its end;
# "make tree" and "make export" write it.
patches_id() { patch_files | xargs -r -d '\n' cat | sha256sum | cut -d' ' -f1; }
tree_note() { git -C "$TREE" rev-parse --path-format=absolute --git-path ramzswap-patches; }
note_patches() { echo "$(patches_id) $(series_rev)" >"$(tree_note)"; }

# The commit that patches/ says it was exported from.
exported_base() { sed -n 's/^base-commit: //p' "$TOP"/patches/0001-*.patch 2>/dev/null || :; }

need_tree() {
	[ -e "$TREE/.git" ] || "$TOP/scripts/base.sh" >&2
}

# Makes BASE_TREE, or brings it to the base.
base_worktree() {
	need_tree
	mkdir -p "$TOP/build"
	(
		flock 9
		rev=$(base_rev)
		if [ -e "$BASE_TREE/.git" ] && git -C "$BASE_TREE" ls-files --error-unmatch Kconfig >/dev/null 2>&1; then
			[ "$(git -C "$BASE_TREE" rev-parse HEAD)" = "$rev" ] ||
				git -C "$BASE_TREE" checkout -q -f --detach "$rev"
			exit
		fi
		say "checking the base out to $BASE_TREE" >&2
		need_space "$BUILD" 2500
		# One that was interrupted has no index yet, and git keeps it locked.
		git -C "$TREE" worktree unlock "$BASE_TREE" 2>/dev/null || :
		rm -rf "$BASE_TREE"
		git -C "$TREE" worktree prune
		git -C "$TREE" worktree add -q --detach "$BASE_TREE" "$rev"
	) 9>"$TOP/build/.base.lock"
}

# A repository of its own in DIR that borrows TREE's objects, at REV. With PATHs, only these are
# checked out, which takes a second instead of a minute. borrowed_tree DIR REV [PATH]...
borrowed_tree() {
	local dir=$1 rev=$2
	shift 2

	git init -q "$dir"
	echo "$(git -C "$TREE" rev-parse --path-format=absolute --git-common-dir)/objects" \
		>"$dir/.git/objects/info/alternates"
	git -C "$dir" config gc.auto 0
	git -C "$dir" config user.name "$(identity name)"
	git -C "$dir" config user.email "$(identity email)"
	# .gitattributes decides which function a hunk is labelled with.
	[ $# = 0 ] || git -C "$dir" sparse-checkout set --no-cone .gitattributes "${@/#//}"
	git -C "$dir" tag ramzswap-base "$(base_rev)"
	git -C "$dir" checkout -q --detach "$rev"
}

# identity name|email: who commits the series here: the repository's git identity, otherwise (in a
# fresh clone of a machine that has none) the one in MAINTAINERS.
identity() {
	git -C "$TOP" config "user.$1" || maintainer | case $1 in
	name) sed -E 's/ *<.*//' ;;
	email) sed -E 's/.*<(.*)>/\1/' ;;
	esac
}

# Whose series it is: "Name <address>"
maintainer() { sed -nE '/^M:/ { s/^M:[[:space:]]*//p; q }' "$TOP/MAINTAINERS"; }

# --- kernels -----------------------------------------------------------------

# The kernels that the virtual machines boot, by name: tree and configuration fragments.
kernel_source() {
	case $1 in
	base | base-debug | base-lockstat | uml-base) echo "$BASE_TREE" ;;
	series | debug | kcsan | series-lockstat | um | uml | uml-debug) echo "$TREE" ;;
	*) die "no kernel is named '$1'" "There are: base series debug base-debug kcsan base-lockstat series-lockstat um uml uml-base uml-debug." ;;
	esac
}

kernel_fragments() {
	case $1 in
	um | uml) echo "$1.config" ;;
	uml-base) echo uml.config ;;
	uml-debug) echo uml.config uml-debug.config ;;
	*debug) echo vm.config debug.config ;;
	kcsan) echo vm.config kcsan.config ;;
	*lockstat) echo vm.config lockstat.config ;;
	*) echo vm.config ;;
	esac
}

kernel_image() {
	case $1 in
	um*) echo "$BUILD/obj/$1/linux" ;;
	*) echo "$BUILD/obj/$1/arch/x86/boot/bzImage" ;;
	esac
}

# Brings a kernel up to date, with its tree. build_kernel NAME
build_kernel() {
	local src fragments arch=x86_64

	src=$(kernel_source "$1")
	if [ "$src" = "$BASE_TREE" ]; then
		base_worktree >&2
	else
		need_tree
	fi
	read -ra fragments <<<"$(kernel_fragments "$1")"
	[ "$1" = "${1#um}" ] || arch=um
	ARCH=$arch "$TOP/scripts/build-kernel.sh" "$src" "$1" "${fragments[@]}" >&2
}

# --- virtual machines --------------------------------------------------------

LOGS=$BUILD/logs

build_redisload() {
	mkdir -p "$BUILD/guest"
	gcc -O2 -Wall -Wextra -static -o "$BUILD/guest/redisload" "$TOP/scripts/guest/redisload.c"
}

# Exit status of vm.sh where it is not that of the guest's program.
VM_SPLAT=100		# the kernel complained in its log
VM_DIED=101		# the machine stopped without saying how the program ended
VM_TIMEOUT=124		# it did not stop in time

# What a kernel writes to its log only when something is broken. What memory_failure() says of an injected
# error ("Memory failure: ...") does not match. The one exception is below.
SPLATS='BUG:|WARNING:|KASAN:|Oops|Call Trace|Kernel panic|general protection|[Bb]ad page|UBSAN:'
SPLATS+='|possible (circular|recursive) locking|inconsistent lock state|suspicious RCU usage'
SPLATS+='|sleeping function called|scheduling while atomic|rcu: INFO|blocked for more than'
SPLATS+='|soft lockup|unreferenced object|list_(add|del) corruption|refcount_t:|stack guard page'
# Tests fill all memory, and then wait for some. On a busy host that can take the 10 s after which the kernel says so.
# What never ends is found by its time limit.
SLOW_HOST='/ [^ ]+: page allocation stall for /,/<\/TASK>/'
# alloc_sites lets allocations fail, some of which the kernel reports.
LETS_FAIL='/ alloc_sites: (vmalloc error|page allocation failure): /,/<\/TASK>/'
# What the kernel says when it has no memory, up to the end of the call trace; vm.sh -K. Mainline reports it, too, when there
# is none for the table of a swap cluster (swap_cluster_alloc_table()), and gets by.
NO_MEMORY='/ (invoked oom-killer|page allocation failure): /,/<\/TASK>/'

# complaints LOG IGNORED: what a kernel's log complains of, but for what IGNORED, a command of sed's, deletes
complaints() {
	sed -E -e "${SLOW_HOST}d" -e "${LETS_FAIL}d" -e "$2" "$1" | grep -nE -A25 "$SPLATS"
}

# compile_mm_tests SOURCE DIR: compiles the tests that the series adds to mainline's mm selftests, and prints their names. They
# need nothing of what the others there are built with.
compile_mm_tests() {
	local selftests=$1/tools/testing/selftests file program

	mkdir -p "$2"
	while IFS= read -r file; do
		program=$(basename "$file" .c)
		gcc -O2 -Wall -static -I "$selftests" -o "$2/$program" "$1/$file"
		echo "$program"
	done < <(git -C "$1" diff --no-renames --diff-filter=A --name-only "$(base_rev)" HEAD -- 'tools/testing/selftests/mm/*.c')
}

# guest_dir KIND: makes a directory for a guest of this process, removes those of runs that were killed, prints its path.
guest_dir() {
	local old

	for old in "$BUILD/$1".*; do
		[ ! -d "$old" ] || kill -0 "${old##*.}" 2>/dev/null || rm -rf "$old"
	done
	mkdir "$BUILD/$1.$$"
	echo "$BUILD/$1.$$"
}

# Makes a guest's initramfs in DIR: busybox, INIT of scripts/guest, and /job with PROGRAM, unless that is empty, as "run".
# pack_initramfs DIR BUSYBOX INIT PROGRAM [FILE...]
pack_initramfs() {
	local root=$1/root program=$4

	mkdir -p "$root/bin" "$root/job"
	cp -L "$2" "$root/bin/busybox"
	cp "$TOP/scripts/guest/$3" "$root/init"
	[ -z "$program" ] || install -m 755 "$program" "$root/job/run"
	shift 4
	[ $# = 0 ] || cp -a "$@" "$root/job/"
	(cd "$root" && find . -print0 | cpio -0 -o -H newc --owner=0:0 --quiet) >"$root/../initramfs"
}

# tap_results KERNEL LOG: TAP between run-tests' "@begin" and "@end" lines, to results. A program that says nothing, stops early
# or ends with an error is a failure itself, whatever its single tests were.
tap_results() {
	awk -v kernel="$1" '
	function say(result, what, why) {
		print result " - " kernel ": " program (what ? ": " what : "") (why ? " # " why : "")
		count++
	}
	/^@begin / { program = $2; count = plan = failed = 0; reason = ""; next }
	!program { next }
	/^1\.\.[0-9]+/ { plan = substr($1, 4); if (sub(/.*# *SKIP */, "")) reason = $0; next }
	/^(not )?ok / {
		result = sub(/^not /, "") ? "not ok" : "ok"
		sub(/^ok *[0-9]* *(- )?/, "")
		why = match($0, / *# */) ? substr($0, RSTART + RLENGTH) : ""
		if (why) $0 = substr($0, 1, RSTART - 1)
		if (sub(/^(SKIP|XFAIL) */, "", why)) result = "skip"
		if (result == "not ok") failed++
		say(result, $0, why)
		next
	}
	/^@end / {
		if ($3 == 137) say("not ok", "", "not done within its time")
		else if ($3 == 4 && !count) say("skip", "", reason ? reason : "it says so")
		else if (!count || ($3 != 0 && $3 != 4 && !failed)) say("not ok", "", "exit status " $3)
		else if (plan && count != plan) say("not ok", "", count " results of " plan " planned")
		if ($4 != "") print "time - " kernel ": " program " " $4
		program = ""
	}
	END { if (program) say("not ok", "", "the machine died meanwhile") }' "$2"
}

# --- results that are kept ---------------------------------------------------

# What passed is not run again while all that it depends on is the same: its output is a file in RESULTS, and a
# hash of all that it depends on is the file's name. Nothing else than success is ever kept. FRESH=1 looks
# nothing up, and keeps what it finds. What was not of use for a month goes.
RESULTS=$CACHE/results

# What is tested with, all versions of it: the compilers, the emulator, and what runs in the guest or makes it.
# Compilers for other architectures are only what the tests depend on that use them. tools_id [--cross]
# shellcheck disable=SC2120 # in other scripts
tools_id() {
	local program strangers=-linux-gnu

	[ "${1:-}" != --cross ] || strangers='^$'

	nproc
	for program in gcc ld make qemu-system-x86_64; do
		"$program" --version 2>&1 || :
		command -v "$program" || :
	done
	dpkg-query -W -f '${db:Status-Abbrev} ${Package} ${Version}\n' 'binutils*' 'bison' 'busybox*' 'ccache' 'clang*' \
		'coccinelle' 'cpio' 'cpp*' 'e2fsprogs' 'flex' 'g++*' 'gcc*' 'git' 'kmod' 'libc6*' 'libcap*' 'libelf*' 'libssl*' \
		'linux-libc-dev*' 'make' 'mount' 'perl' 'python3*' 'qemu*' 'redis*' 'seabios' 'shellcheck' 'sparse' 'util-linux' \
		'xfsprogs' 2>/dev/null |
		grep '^ii' | grep -v -e "$strangers" || :
}

# Runs a program of the ramzswap selftests that no test runs by default, with a disk of its own, /dev/disk/backing, and
# prints one result. Returns vm.sh's status. run_extended KERNEL NAME DISK-SIZE WHAT COMMAND VM-OPTION...
run_extended() {
	local kernel=$1 name=$2 size=$3 what=$4 command=$5 job=$BUILD/guest/$2 status=0 machine=vm.sh
	shift 5
	[ "$kernel" = "${kernel#um}" ] || machine=um.sh

	build_kernel "$kernel"
	rm -rf "$job"
	mkdir -p "$job" "$LOGS"
	make -s -C "$(kernel_source "$kernel")/tools/testing/selftests/ramzswap" OUTPUT="$job" LDFLAGS=-static \
		"$job/${command%% *}"
	echo ". $command" >"$job/tests"
	truncate -s "$size" "$job.disk"

	say "$what on $kernel; output in $LOGS/$name.log"
	"$TOP/scripts/$machine" -k "$kernel" -w "backing=$job.disk" -n "$name" "$@" \
		"$TOP/scripts/guest/run-tests" "$job"/* || status=$?
	rm -f "$job.disk"
	case $status in
	0) ok "$kernel: $what" ;;
	*) not_ok "$kernel: $what # status $status; see $LOGS/$name.log" ;;
	esac
	return $status
}

# The scripts that tests consist of, by their contents: all but those that no test calls.
scripts_id() {
	(cd "$TOP" && git ls-files -z -co --exclude-standard scripts | grep -zvE \
		'^scripts/(bench[^/]*\.sh|profile\.sh|shell\.sh|clean\.sh|export\.sh|footprint\.sh|test\.sh|checkpatch-exceptions)$' |
		LC_ALL=C sort -z | xargs -0 sha256sum)
}

# Nothing is kept of a tree with changes that are not committed: nothing tells what it is like.
tree_is_clean() { [ -z "$(git -C "$1" status --porcelain 2>&1 | head -n 1)" ]; }

tree_id() { git -C "$TREE" rev-parse -q --verify "$1^{tree}"; }

# result_key WORD...: a hash of these words and of standard input
result_key() { { printf '%s\n' "$@" && cat; } | sha256sum | cut -d' ' -f1; }

# Prints the file of a result, if there is one and FRESH does not forbid it. kept_result KEY
kept_result() {
	[ -z "${FRESH:-}" ] && [ -n "$1" ] && [ -s "$RESULTS/$1" ] || return
	touch -c "$RESULTS/$1"
	echo "$RESULTS/$1"
}

# Keeps standard input as the result of KEY. That it cannot be kept is no failure. keep_result KEY
keep_result() {
	local new=$RESULTS/.new.$$

	if [ -n "$1" ] && mkdir -p "$RESULTS" && cat >"$new"; then
		mv "$new" "$RESULTS/$1" || :
	fi
	rm -f "$new" || :
	# A month old, or more than 2000 of them
	find "$RESULTS" -maxdepth 1 -type f -mtime +30 -delete || :
	find "$RESULTS" -maxdepth 1 -type f -printf '%T@ %p\n' | sort -rn | tail -n +2001 | cut -d' ' -f2- |
		xargs -r -d '\n' rm -f || :
} 2>/dev/null

# Result lines that are not from this run say so. cached_lines <FILE
cached_lines() { sed -E '/^(ok|skip) - /!d; s/ # (.*)$/ # \1 (cached)/; t; s/$/ # cached/'; }
