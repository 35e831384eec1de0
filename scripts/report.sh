#!/bin/bash
# What bench.sh measured, as build/bench/report.md with plots: the targets and what was reached, then tables. The newest numbers
# of each benchmark count, whichever day they are of, those in results/runs, too. bench/targets has the targets.
#
# Usage: report.sh			"make bench" ends with it
#	 report.sh --keep		also its summary, two plots and the runs it is made of to results/, which are committed
#	 report.sh --marks		are the marked numbers in texts (see bench/report.py) those in results/summary.tsv?
#	 report.sh --self-check		does bench/report-test/ make the report that it should make?
# "make check" does the last two.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

out=$BUILD/bench
report=$TOP/scripts/bench/report.py
kept=(capacity age) # plots

self_check() {
	local test=$TOP/scripts/bench/report-test file

	# The names in bench/targets are known ones.
	python3 "$report" "$test" "$WORK"
	python3 "$report" "$test" "$WORK" "$test/targets"
	for file in report.md summary.tsv; do
		diff -u "$test/$file" "$WORK/$file"
	done
	cat "$WORK"/report/*.gp | diff -u "$test/plots.gp" -
	cd "$test"
	{ python3 "$report" --marks summary.tsv marks.txt || :; } | diff -u marks.said -
}

marks() {
	cd "$TOP"
	git ls-files -co --exclude-standard -z -- '*.md' '*.rst' patches/cover ':!scripts/bench/report-test' |
		xargs -0 python3 "$report" --marks results/summary.tsv
}

case ${1:-} in
'' | --keep) ;;
--marks)
	marks
	exit
	;;
--self-check)
	workdir "$BUILD/tmp-report"
	self_check
	exit
	;;
*) die "unknown option $1" "The first lines of $0 say which there are." ;;
esac

need_pkgs report
mkdir -p "$out"
lock "$BUILD" report
python3 "$report" "$out" "$out" "$TOP/scripts/bench/targets" "$TOP/results/runs"
cd "$out/report"
for plot in *.gp; do
	[ ! -e "$plot" ] || gnuplot "$plot"
done
sed -n '/ reached, /s/\. .*/./p' "$out/report.md"
say "the report is $out/report.md"
[ "${1:-}" = --keep ] || exit 0

for plot in "${kept[@]}"; do
	[ -e "$plot.svg" ] || die "there is no plot $plot to keep" "Run 'scripts/bench.sh $plot' first."
done
# A machine that has none of these runs makes the same report of them. The table says that a run has ended.
rm -rf "$out/runs"
mkdir -p "$out/runs" "$TOP/results"
while IFS= read -r file; do
	cp "$file" "$out/runs"
	[ ! -e "${file%.tsv}.txt" ] || cp "${file%.tsv}.txt" "$out/runs"
done <"$out/used"
rm -rf "$TOP/results/runs"
mv "$out/runs" "$TOP/results/runs"
cp "$out/summary.tsv" "${kept[@]/%/.svg}" "$TOP/results/"
{
	cat "$out/summary.md"
	printf '![%s](%s.svg)\n' "${kept[0]}" "${kept[0]}" "${kept[1]}" "${kept[1]}"
} >"$TOP/results/summary.md"
say "results/ has the summary; numbers in texts that are marked have to follow it:"
marks
