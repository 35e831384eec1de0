#!/bin/bash
# From build/linux back to the repository: patches/, series, and the files that the series adds.
#
# Usage: export.sh              write them
#        export.sh --compare    only say whether they are what the tree has; exit status 1 if not
#        export.sh --to DIR     write them below DIR instead
#
# The bytes depend on the commits alone, not on the machine, the user's git configuration or who
# committed them. Of the cover letters, what is above the marker line is written by hand and stays.
#
# Part n of the series has the n-th cover letter, and begins with the patch whose subject is in the letter's
# header "X-First-Patch". Its title is the letter's subject.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

cover=patches/cover/0000-cover-letter.patch # not where git am patches/*.patch would see it
letters=("$TOP"/patches/cover/*.patch) # 0000 is of the whole series, and the others of a part each
marker='--- from here on, make export writes this ---'
mail=(--no-numbered --no-signature --zero-commit --no-thread --no-attach --no-signoff --no-notes --no-to
	--no-cc --no-add-header --no-cover-letter --no-from --subject-prefix=PATCH --suffix=.patch
	--filename-max-length=64)
diff=(-M50% --inter-hunk-context=0 --diff-algorithm=histogram --indent-heuristic --abbrev=12 --no-color
	--no-ext-diff --no-textconv --no-relative --src-prefix=a/ --dst-prefix=b/ --stat=72 --summary)

tree_git() {
	plain_git -C "$TREE" --literal-pathspecs -c core.quotePath=true -c core.attributesFile=/dev/null \
		-c i18n.logOutputEncoding=UTF-8 -c tar.umask=0022 "$@"
}

# The files that patches create.
created_by() {
	[ $# = 0 ] || awk '
		/^--- / { new = ($2 == "/dev/null") }
		/^\+\+\+ b\// && new { print substr($0, 7) }
		/^rename to / { print substr($0, 11) }' "$@" | LC_ALL=C sort -u
}

# Where the parts begin and end: titles, first and last patch's number, by the part's number
titles=() first=() last=() commits=() # commits by the patch's number
find_parts() {
	local letter title subject n=0 count

	mapfile -t -O 1 commits < <(tree_git rev-list --reverse "$base..$end")
	for letter in "${letters[@]:1}"; do
		n=$((n + 1))
		title=$(sed -n '1,/^$/ s/^Subject: \[PATCH[^]]*\] .*\(part [0-9]*:\)/\1/p' "$letter")
		subject=$(sed -n '1,/^$/ s/^X-First-Patch: //p' "$letter")
		[[ $title = "part $n: "* ]] || die "$letter is no letter of part $n" "Its subject has to end in 'part $n: TITLE'."
		count=$(tree_git log --reverse --format=%s "$base..$end" | grep -nxF -e "$subject" | cut -d: -f1)
		[[ $count =~ ^[0-9]+$ ]] || die "not one patch is named '$subject', with which part $n begins" \
			"Correct X-First-Patch in $letter."
		# The first part begins with the first patch.
		[ $n != 1 ] || [ "$count" = 1 ] || count=0
		[ "$count" -gt "${first[n - 1]:-0}" ] ||
			die "part $n does not begin where it should" "Correct X-First-Patch in $letter."
		titles[n]=$title first[n]=$count last[n]=$((${#commits[@]}))
		[ $n = 1 ] || last[n - 1]=$((count - 1))
	done
}

# cover_letter FILE FROM TO [PART]: what is written by hand, and what is not, of these commits
cover_letter() {
	local old=$TOP/$1 count

	count=$(tree_git rev-list --count "$2..$3")
	if [ -f "$old" ]; then
		sed -E "/^$marker\$/,\$d; s|^(Subject: \\[PATCH) 0/[0-9]+\\]|\\1 0/$count]|" "$old"
	else
		printf '%s\n' 'From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001' \
			"From: $(maintainer)" "Subject: [PATCH 0/$count] *** SUBJECT HERE ***" '' \
			'*** BLURB HERE ***' ''
	fi
	printf '%s\n\n' "$marker"
	if [ "$1" = "$cover" ]; then
		table_of_parts
		"$TOP/scripts/footprint.sh"
	else
		printf 'Patches %s to %s of the series\n' "${first[$4]}" "${last[$4]}"
	fi
	echo
	tree_git shortlog -w72,2,4 "$2..$3" </dev/null
	tree_git diff "${diff[@]}" "$2" "$3"
	[ "$2" != "$base" ] || printf '\nbase-commit: %s\n' "$base"
}

# For each part its patches, and the lines that it adds to and removes from files that the base has, and others
table_of_parts() {
	local n

	printf '%-46s %7s %6s %6s %7s\n' 'Part' patches added removed 'in new'
	for n in "${!titles[@]}"; do
		tree_git diff --no-renames --numstat "$(before "$n")" "${commits[last[n]]}" | awk -F'\t' -v title="${titles[n]#part }" \
			-v patches="${first[n]}-${last[n]}" -v new="$(cat "$WORK/added")" '
			BEGIN { split(new, list, "\n"); for (i in list) is_new[list[i]] }
			$3 in is_new { in_new += $1 - $2; next }
			{ added += $1; removed += $2 }
			END { printf "%-46s %7s %6d %6d %7d\n", title, patches, added, removed, in_new }'
	done
	echo
}

# The commit that a part follows
before() { [ "$1" = 1 ] && echo "$base" || echo "${commits[first[$1] - 1]}"; }

# In quilt's format, in which a comment begins with "#"
series() {
	local patch number=0 n=1

	for patch; do
		number=$((number + 1))
		[ "${first[n]:-}" != $number ] || { echo "# ${titles[n]}" && n=$((n + 1)); }
		echo "$patch"
	done
}

# All that is exported, below the directory $1. What the series adds is listed in $WORK/added.
write_to() {
	local added letter n

	mkdir -p "$1/patches/cover"
	tree_git format-patch -q "${mail[@]}" "${diff[@]}" -U3 --base="$base" -o "$1/patches" "$base..$end"
	tree_git diff --no-renames --diff-filter=A --name-only "$base" "$end" | LC_ALL=C sort >"$WORK/added"
	find_parts
	(cd "$1/patches" && LC_ALL=C && series ./*.patch) | sed 's|^\./||' >"$1/series"
	cover_letter "$cover" "$base" "$end" >"$1/$cover"
	for n in "${!titles[@]}"; do
		letter=patches/cover/${letters[n]##*/}
		cover_letter "$letter" "$(before "$n")" "${commits[last[n]]}" "$n" >"$1/$letter"
	done
	mapfile -t added <"$WORK/added"
	[ ${#added[@]} = 0 ] || tree_git archive "$end" "${added[@]}" | tar -x -C "$1"
}

# On another base than the patches were exported from, the line numbers differ, and so do the hashes.
comparable() {
	if [ "$(exported_base)" = "$base" ]; then
		cat "$1"
	else
		sed -E '/^(index|base-commit:) /d; s/^@@ -[0-9]+(,[0-9]+)? \+[0-9]+/@@/' "$1"
	fi
}

# Prints what differs between the directory $1 and the repository.
compare() {
	local file status=0

	while IFS= read -r file; do
		if [ ! -f "$TOP/$file" ]; then
			echo "not exported: $file"
		elif [ ! -f "$1/$file" ]; then
			echo "not in the tree: $file"
		elif ! cmp -s <(comparable "$1/$file") <(comparable "$TOP/$file"); then
			echo "differs: $file"
		else
			continue
		fi
		status=1
	done < <({ (cd "$1" && find . -type f -printf '%P\n'); echo "$stale"
		   (cd "$TOP" && printf '%s\n' "${old[@]}"); } | sed /^$/d | LC_ALL=C sort -u)
	return $status
}

mode=${1:-write}
[ -z "${PART:-}" ] || die "the tree of a part is not exported" "Change the whole series' tree, without PART."
need_tree
base=$(base_rev)
end=$(series_rev)

unclean=$(git -C "$TREE" status --porcelain | head -n 5)
if [ -d "$(git -C "$TREE" rev-parse --path-format=absolute --git-path rebase-merge)" ] ||
   [ -d "$(git -C "$TREE" rev-parse --path-format=absolute --git-path rebase-apply)" ]; then
	unclean="a rebase or git am is under way"
elif [ -n "$(git -C "$TREE" rev-list --merges "$base..$end")" ]; then
	unclean="there is a merge in the series"
elif ! git -C "$TREE" merge-base --is-ancestor "$base" "$end"; then
	unclean="HEAD is not on top of the base"
fi
[ -z "$unclean" ] || [ "$mode" = --compare ] ||
	die "$TREE is not clean: $unclean" "Commit what is to be exported, and remove the rest."

lock "$BUILD" export
workdir "$BUILD/tmp-export"
shopt -s nullglob
cd "$TOP"
old=(patches/*.patch)
write_to "$WORK/new"
stale=$(created_by "${old[@]}" | LC_ALL=C comm -23 - "$WORK/added")

case $mode in
--to)
	mkdir -p "$2"
	cp -r "$WORK/new/." "$2"
	;;
--compare)
	[ -z "$unclean" ] || printf 'not committed: %s\n' "$unclean"
	if ! compare "$WORK/new" || [ -n "$unclean" ]; then
		die "the repository is not what $TREE has" "'make export' takes the tree's state over."
	fi
	say "patches/, series and the exported files are what $TREE has"
	;;
write)
	if [ -n "$(exported_base)" ] && [ "$(exported_base)" != "$base" ]; then
		say "note: the patches were exported from another base before"
	fi
	rm -f "${old[@]}"
	cp -r "$WORK/new/." .
	while IFS= read -r file; do
		[ -f "$file" ] || continue
		say "removing $file, which the series no longer adds"
		rm -f "$file"
		rmdir -p --ignore-fail-on-non-empty "$(dirname "$file")"
	done <<<"$stale"
	note_patches
	say "exported $(grep -vc '^#' series) patches, and $(wc -l <"$WORK/added") files that they add"
	;;
*) die "usage: $0 [--compare | --to DIR]" ;;
esac
