#!/bin/bash
# Build the documentation that the series adds or changes, as "make htmldocs" would, and nothing else: any warning is a failure.
# The pages are in build/htmldocs then.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

need_pkgs docs
need_tree
lock "$BUILD" htmldocs
workdir "$BUILD/tmp-htmldocs"
cd "$TREE"
base=$(base_rev)
log=$BUILD/logs/htmldocs.log
pages=$WORK/Documentation # a name that extensions look for, and MAINTAINERS beside it
mkdir -p "$LOGS"
ln -s "$TREE/MAINTAINERS" "$WORK"

# The indexes list all that mainline has. That the new pages are in them is checked below.
mapfile -t changed < <(git diff --name-only --diff-filter=AM "$base" HEAD -- 'Documentation/*.rst' ':!*/index.rst')
mapfile -t added < <(git diff --name-only --diff-filter=A "$base" HEAD -- 'Documentation/*.rst')
mapfile -t abi < <(git diff --name-only --diff-filter=AM "$base" HEAD -- Documentation/ABI)
[ ${#changed[@]} != 0 ] || { skip "htmldocs" "$TREE has no pages of the series" && exit; }
for page in "${changed[@]}"; do
	mkdir -p "$pages/$(dirname "${page#*/}")"
	ln -s "$TREE/$page" "$pages/${page#*/}"
done
if [ ${#abi[@]} != 0 ]; then
	mkdir -p "$WORK/abi/testing" "$pages/abi"
	cp "${abi[@]}" "$WORK/abi/testing"
	(cd "$WORK" && python3 "$TREE/tools/docs/get_abi.py" -D abi rest) >"$pages/abi/ramzswap.rst"
fi
{
	printf 'ramzswap\n========\n\n.. toctree::\n\n'
	(cd "$pages" && find . -name '*.rst' ! -path ./index.rst | sed 's|^\./|   |; s|\.rst$||' | LC_ALL=C sort)
} >"$WORK/index.rst"
mv "$WORK/index.rst" "$pages"

say "building ${#changed[@]} pages with $(sphinx-build --version), log: $log"
rm -rf "$BUILD/htmldocs"
status=0
srctree=$TREE sphinx-build -q -b html -c Documentation -D kerneldoc_srctree="$TREE" -d "$WORK/doctrees" \
	"$pages" "$BUILD/htmldocs" >"$log" 2>&1 || status=$?

# Pages and labels of other parts of mainline's documentation are not built here, but have to be there. Where mainline's files
# say the same twice, that is not ours.
elsewhere() {
	local file

	case $1 in
	*"unknown document: '"*)
		[ -e "Documentation/$(sed -E "s/.*unknown document: '([^']*)'.*/\1/" <<<"$1").rst" ]
		;;
	*"undefined label: '"*)
		git grep -qiE "^\.\. _$(sed -E "s/.*undefined label: '([^']*)'.*/\1/" <<<"$1"):" -- Documentation
		;;
	# Files of Documentation/ABI that define the same symbol
	*' is defined '*' times: '*)
		for file in "${abi[@]}"; do
			[[ $1 != *"$file"* ]] || return 1
		done
		;;
	*) false ;;
	esac
}
failed=0
fails() {
	not_ok "$1"
	failed=1
}
[ $status = 0 ] || fails "htmldocs: sphinx-build # status $status; see $log"
for page in "${added[@]}"; do
	grep -qxE " +$(basename "$page" .rst)" "$(dirname "$page")/index.rst" || fails "htmldocs: $page is in the index"
done
while IFS= read -r line; do
	elsewhere "$line" || fails "htmldocs: ${line//"$WORK/"/}"
done < <(grep -E 'WARNING|ERROR|CRITICAL' "$log" | grep -vE '(dot|convert)\(1\) not found' || :)
[ $failed = 0 ] || exit
ok "htmldocs: ${#changed[@]} pages and ${#abi[@]} files of Documentation/ABI, without a warning"
