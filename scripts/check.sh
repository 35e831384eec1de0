#!/bin/bash
# Check the repository without building anything: that patches/, series, the exported files and
# build/linux agree, that the series applies from scratch, and that patches and scripts are clean.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

need_pkgs check
need_tree
lock "$BUILD" check
workdir "$BUILD/tmp-check"
base=$(base_rev)
failed=0
shopt -s nullglob
patches=("$TOP"/patches/*.patch)
mapfile -t added < <(git -C "$TREE" diff --no-renames --diff-filter=A --name-only "$base" "$(series_rev)")
mapfile -t touched < <(git -C "$TREE" diff --no-renames --name-only "$base" "$(series_rev)")
cd "$TOP"

# result NAME COMMAND...: one result; what the command prints is shown if it fails.
result() {
	local name=$1
	shift
	# In a subshell of its own, so that an error in it cannot end the whole.
	if ("$@") >"$WORK/output" 2>&1 </dev/null; then
		ok "$name"
	else
		not_ok "$name"
		sed 's/^/    /' "$WORK/output"
		failed=1
	fi
}

agree() { "$TOP/scripts/export.sh" --compare; }

series_lists_patches() { diff -u <(grep -v '^#' series) <(LC_ALL=C && cd patches && printf '%s\n' *.patch); }

# Each part has a cover letter with text of its own, and the whole one says why each existing file is touched.
# That each patch is in one part, and that what is generated of the letters is up to date, export.sh sees.
letters() {
	local letters=(patches/cover/*.patch) files

	head -n 1 series | grep '^# part 1: ' || return 1
	[ "$(grep -c '^# part [0-9]*: ' series)" = $((${#letters[@]} - 1)) ] ||
		{ echo "series has other parts than patches/cover/ has letters"; return 1; }
	! grep -nE '\*\*\* (SUBJECT|BLURB) HERE|[^ -~\t]' "${letters[@]}" || return 1
	files=$("$TOP/scripts/footprint.sh" --files | grep -vxF -f <(sed -nE '/^--- from here/q; s/^ ([^ ]+\.[chrs]+)( .*|)$/\1/p' "${letters[0]}") || :)
	[ -z "$files" ] || { echo "the cover letter does not say why these are touched: $files"; return 1; }
}

# The documented command, as a user would run it.
apply() {
	[ ${#patches[@]} -gt 0 ] || { echo "patches/ has no patches"; return 1; }
	borrowed_tree "$WORK/tree" "$base" "${touched[@]}"
	cd "$WORK/tree"
	git am "$TOP"/patches/*.patch || { echo "git am patches/*.patch fails"; return 1; }
	git diff --stat --exit-code HEAD "$(series_rev)" || {
		echo "what git am makes of the patches is not what $TREE has"; return 1; }
}

# Applying and exporting again changes nothing.
round_trip() {
	[ "$base" = "$(exported_base)" ] || { echo "patches were exported from base $(exported_base)"; return 1; }
	RAMZSWAP_TREE=$WORK/tree "$TOP/scripts/export.sh" --to "$WORK/again"
	diff -r patches "$WORK/again/patches" && cmp series "$WORK/again/series"
}

# Everything in the repository's kernel directories comes from the series.
only_exported() {
	local strangers
	strangers=$(git ls-files -co --exclude-standard |
		grep -vE '^(patches|scripts|results|\.ci)/|^[^/]+$' |
		LC_ALL=C sort | LC_ALL=C comm -23 - <(printf '%s\n' "${added[@]}" | LC_ALL=C sort) || :)
	[ -z "$strangers" ] || { echo "not added by the series: $strangers"; return 1; }
}

# What checkpatch says, without the exceptions that are listed with a reason.
checkpatch() {
	local said
	cd "$TREE"
	# Debian's python3 has the modules that spdxcheck.py needs; another in PATH may not.
	said=$(PATH=/usr/bin:$PATH perl scripts/checkpatch.pl --strict --show-types --terse --no-summary "$1" 2>&1 |
		grep -vF -f <(grep -v '^#' "$TOP/scripts/checkpatch-exceptions") || :)
	[ -z "$said" ] || { echo "$said"; return 1; }
}

signed_off() {
	grep -qxF "Signed-off-by: $(maintainer)" "$1" ||
		{ echo "no Signed-off-by: $(maintainer)"; return 1; }
	# git folds a long From: header.
	[ "$(git mailinfo /dev/null /dev/null <"$1" | sed -n 's/^Author: //p; s/^Email: \(.*\)/<\1>/p' |
		paste -sd' ')" = "$(maintainer)" ] || { echo "not From: $(maintainer)"; return 1; }
}

kernel_doc() {
	local sources=()
	for file in "${added[@]}"; do
		case $file in tools/*) ;; *.[ch]) sources+=("$file") ;; esac
	done
	cd "$TREE"
	[ ${#sources[@]} = 0 ] || python3 scripts/kernel-doc -none -Wall -Werror "${sources[@]}"
}

# The tool of the series on files made for it, with the compiler's checks on; and its manual.
ramzswapstat() {
	gcc -g -Wall -Wextra -Werror -fsanitize=address,undefined -I "$TREE/tools/include" \
		-o "$WORK/ramzswapstat" "$TREE/tools/mm/ramzswapstat.c"
	RAMZSWAPSTAT=$WORK/ramzswapstat sh "$TREE/tools/testing/selftests/ramzswap/ramzswapstat.sh" >"$WORK/tap" || {
		grep -A 20 '^not ok' "$WORK/tap"
		return 1
	}
	mandoc -T lint -W style "$TREE/tools/mm/ramzswapstat.8"
}

shell_scripts() {
	git ls-files -co --exclude-standard | while IFS= read -r file; do
		[ -f "$file" ] || continue
		case $file in *.sh) echo "$file" && continue ;; esac
		! head -n 1 "$file" | tr -d '\0' | grep -qE '^#!.*[/ ](ba|da)?sh( |$)' || echo "$file"
	done
}

shellcheck_all() { shell_scripts | xargs shellcheck -x; }

# Which mirror to use is the machine's business.
no_mirror() {
	local hosts
	# shellcheck disable=SC2016 # this is apt's variable
	hosts=$(apt-get indextargets --no-release-info --format '$(SITE)' 2>/dev/null |
		sed -nE 's|^[a-z]+://([^/:]+).*|\1|p' | sort -u || :)
	git ls-files -co --exclude-standard -z | xargs -0 grep -nIE \
		'(deb|ftp[0-9.a-z]*|security|snapshot|archive|mirrors?)\.(debian|ubuntu)\.(org|net|com)' && return 1
	[ -z "$hosts" ] || ! git ls-files -co --exclude-standard -z | xargs -0 grep -nIF "$hosts"
}

nothing_built() { ! git ls-files build | grep .; }

if [ -n "$(exported_base)" ] && [ "$(exported_base)" != "$base" ]; then
	other_base="the patches were exported from another base than this tree has"
fi
say "checking the repository against $TREE"
result "patches, series and exported files are what the tree has" agree
result "series lists the patches" series_lists_patches
result "the parts and their cover letters" letters
result "only the series adds files to the kernel's directories" only_exported
result "git am patches/*.patch makes the tree" apply
if [ -n "${other_base:-}" ]; then
	skip "exporting again changes no byte" "$other_base"
else
	result "exporting again changes no byte" round_trip
fi
say "checking ${#patches[@]} patches"
for patch in "${patches[@]}"; do
	name=$(basename "$patch" .patch)
	result "checkpatch --strict: $name" checkpatch "$patch"
	result "From and Signed-off-by: $name" signed_off "$patch"
done
result "kernel-doc of the added files" kernel_doc
[ ! -e "$TREE/tools/mm/ramzswapstat.c" ] || result "ramzswapstat, and its manual" ramzswapstat
say "checking scripts and files"
result "shellcheck" shellcheck_all
result "the manual of ramzswap-tools" mandoc -T lint -W style scripts/debian/ramzswap.conf.5
result "the report of the benchmarks, of known numbers" scripts/report.sh --self-check
result "marked numbers in texts are those of results/summary.tsv" scripts/report.sh --marks
result "no file names a mirror" no_mirror
result "nothing below build/ is tracked" nothing_built
[ $failed = 0 ]
