#!/bin/bash
# From build/linux back to the repository: patches/, series, and the files that the series adds.
#
# Usage: export.sh              write them
#        export.sh --compare    only say whether they are what the tree has; exit status 1 if not
#        export.sh --to DIR     write them below DIR instead
#
# The bytes depend on the commits alone, not on the machine, the user's git configuration or who
# committed them. Of the cover letter, what is above the marker line is written by hand and stays.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

cover=patches/cover/0000-cover-letter.patch # not where git am patches/*.patch would see it
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

cover_letter() {
	local old=$TOP/$cover count

	count=$(tree_git rev-list --count "$base..$end")
	if [ -f "$old" ]; then
		sed -E "/^$marker\$/,\$d; s|^(Subject: \\[PATCH) 0/[0-9]+\\]|\\1 0/$count]|" "$old"
	else
		printf '%s\n' 'From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001' \
			"From: $(maintainer)" "Subject: [PATCH 0/$count] *** SUBJECT HERE ***" '' \
			'*** BLURB HERE ***' ''
	fi
	printf '%s\n\n' "$marker"
	tree_git shortlog -w72,2,4 "$base..$end" </dev/null
	tree_git diff "${diff[@]}" "$base" "$end"
	printf '\nbase-commit: %s\n' "$base"
}

# All that is exported, below the directory $1. What the series adds is listed in $WORK/added.
write_to() {
	local added

	mkdir -p "$1/patches/cover"
	tree_git format-patch -q "${mail[@]}" "${diff[@]}" -U3 --base="$base" -o "$1/patches" "$base..$end"
	(cd "$1/patches" && LC_ALL=C && printf '%s\n' *.patch) >"$1/series"
	cover_letter >"$1/$cover"
	tree_git diff --no-renames --diff-filter=A --name-only "$base" "$end" | LC_ALL=C sort >"$WORK/added"
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
	say "exported $(wc -l <series) patches, and $(wc -l <"$WORK/added") files that they add"
	;;
*) die "usage: $0 [--compare | --to DIR]" ;;
esac
