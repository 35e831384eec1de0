#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# ramzswapstat on files that are made here: every format, every kind of damage.
# It needs no ramzswap device, and nobody's rights.
#
# RAMZSWAPSTAT: how to call it, if it is not next to this script or in tools/mm,
# for example "valgrind -q --error-exitcode=99 ./ramzswapstat".
set -u

here=$(cd "$(dirname "$0")" && pwd)
man=
[ ! -f "$here/../../../mm/ramzswapstat.8" ] || man=$here/../../../mm/ramzswapstat.8
if [ -z "${RAMZSWAPSTAT:-}" ]; then
	RAMZSWAPSTAT=$here/ramzswapstat
	[ -x "$RAMZSWAPSTAT" ] || RAMZSWAPSTAT=$here/../../../mm/ramzswapstat
	[ -x "$RAMZSWAPSTAT" ] || { echo "1..0 # SKIP ramzswapstat is not built"; exit 4; }
fi

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
root=$work/root
nr=0
failed=0

# === Results ================================================================

# result DESCRIPTION 0|1: one line, and what the tool said if it failed
result() {
	nr=$((nr + 1))
	if [ "$2" = 0 ]; then
		echo "ok $nr $1"
		return
	fi
	failed=$((failed + 1))
	echo "not ok $nr $1"
	sed 's/^/# stdout: /' "$work/out"
	sed 's/^/# stderr: /' "$work/err"
	echo "# status: $code"
}

# What cannot be tested here is one result, at the end.
skipped=
skip() {
	case $skipped in *"$1"*) ;; *) skipped="$skipped${skipped:+, }$1" ;; esac
}

run() {
	# shellcheck disable=SC2086 # it may be several words
	$RAMZSWAPSTAT --sysroot "$root" "$@" >"$work/out" 2>"$work/err"
	code=$?
}

# prints DESCRIPTION STATUS OPTION...: stdout is what stdin has, stderr is empty
prints() {
	description=$1 status=$2
	shift 2
	cat >"$work/want"
	run "$@"
	[ "$code" = "$status" ] && [ ! -s "$work/err" ] && cmp -s "$work/want" "$work/out"
	result "$description" $?
}

# says DESCRIPTION STATUS TEXT OPTION...: stderr has the text
says() {
	description=$1 status=$2 text=$3
	shift 3
	run "$@"
	[ "$code" = "$status" ] && grep -qF -e "$text" "$work/err"
	result "$description" $?
}

# shows DESCRIPTION STATUS TEXT OPTION...: stdout is this line, whatever is said
shows() {
	description=$1 status=$2 text=$3
	shift 3
	run "$@"
	[ "$code" = "$status" ] && [ "$(cat "$work/out")" = "$text" ]
	result "$description" $?
}

# === Files ==================================================================

# put VALUE FILE...: files of the device $dev
put() {
	value=$1
	shift
	for file; do
		printf '%s\n' "$value" >"$root/sys/block/$dev/$file"
	done
}

make_device() {
	dev=$1
	mkdir -p "$root/sys/block/$dev/stats" "$root/sys/block/$dev/queue"
	put 4096 queue/logical_block_size
	put 4294967296 disksize
	put 0 mem_limit
	put none backing_dev backing_state
	put 0 stats/orig_data_size stats/compr_data_size stats/mem_used \
		stats/pages_incompressible stats/num_reads stats/num_writes \
		stats/failed_reads stats/failed_writes stats/invalid_io \
		stats/bdev_num_reads stats/bdev_num_writes \
		stats/backing_blocks_total stats/backing_blocks_used \
		stats/backing_blocks_bad stats/backing_stops
}

# A device that is in use, one with a backing device that has seen trouble, one that is idle
make_root() {
	rm -rf "$root"
	mkdir -p "$root/proc" "$root/sys/block/sda" "$root/sys/block/zram0" \
		"$root/sys/block/ramzswapx" "$root/sys/block/ramzswap"
	make_device ramzswap10
	make_device ramzswap2
	put 536870912 mem_limit
	put /dev/sdb2 backing_dev
	put running backing_state
	put 8192 stats/orig_data_size stats/mem_used
	put 1500 stats/compr_data_size
	put 262143 stats/backing_blocks_total
	put 1000 stats/backing_blocks_used
	put 2 stats/backing_blocks_bad
	put 1 stats/backing_stops
	put 3 stats/failed_reads
	put 4 stats/failed_writes
	put 5 stats/invalid_io
	put 700 stats/bdev_num_reads
	put 1800 stats/bdev_num_writes
	make_device ramzswap0
	put 1073741824 stats/orig_data_size
	put 402653184 stats/compr_data_size
	put 419430400 stats/mem_used
	put 2560 stats/pages_incompressible
	put 100 stats/num_reads
	put 300000 stats/num_writes
	{
		printf 'Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n'
		printf '%-40s%s\t%s\t\t%s\t\t%s\n' \
			/dev/ramzswap0 partition 4194300 1052672 100 \
			/dev/ramzswap2 partition 4194300 12 -2 \
			/dev/sda5 partition 999 99 -3
	} >"$root/proc/swaps"
}

# debugfs DEVICE: what its file has is on stdin
debugfs() {
	mkdir -p "$root/sys/kernel/debug/ramzswap/$1"
	cat >"$root/sys/kernel/debug/ramzswap/$1/stats"
}

one=NAME,DISKSIZE,STORED,COMPR,RATIO,SAVED,BUSED,ERRORS

echo "TAP version 13"

# === The table ==============================================================

make_root
prints 'a table, sorted by number' 0 -o $one <<'END'
NAME            DISKSIZE STORED COMPR RATIO SAVED BUSED ERRORS
/dev/ramzswap0        4G     1G  384M  2.67  624M    0B      0
/dev/ramzswap2        4G     8K  1.5K  5.46    0B  3.9M      6
/dev/ramzswap10       4G     0B    0B     -    0B    0B      0
END
prints 'one device, named with /dev/ or without' 0 -n -o STORED /dev/ramzswap0 ramzswap2 <<'END'
1G
8K
END
prints 'bytes' 0 -b -o $one ramzswap0 <<'END'
NAME             DISKSIZE     STORED     COMPR RATIO     SAVED BUSED ERRORS
/dev/ramzswap0 4294967296 1073741824 402653184  2.67 654311424     0      0
END
prints 'long options and a list of its own order' 0 \
	--bytes --noheadings --output stored,name ramzswap2 <<'END'
8192 /dev/ramzswap2
END
prints 'raw, for scripts' 0 --raw -b -n -o $one <<'END'
/dev/ramzswap0 4294967296 1073741824 402653184 2.67 654311424 0 0
/dev/ramzswap2 4294967296 8192 1500 5.46 0 4096000 6
/dev/ramzswap10 4294967296 0 0 - 0 0 0
END
prints 'what sysfs and /proc/swaps tell of memory' 0 -r -b -o \
	LIMIT,SWAPPED,MEMORY,INCOMPR,READ,WRITTEN,LOST,REFUSED,INVALID <<'END'
LIMIT SWAPPED MEMORY INCOMPR READ WRITTEN LOST REFUSED INVALID
0 1077936128 419430400 10485760 409600 1228800000 0 0 0
536870912 12288 8192 0 0 0 3 4 5
0 - 0 0 0 0 0 0 0
END
prints 'what sysfs tells of the backing device' 0 -r -b -o \
	BACKING,BSIZE,BUSED,BBAD,BREAD,BWRITTEN,BSTOPS,BSTATE <<'END'
BACKING BSIZE BUSED BBAD BREAD BWRITTEN BSTOPS BSTATE
none 0 0 0 0 0 0 none
/dev/sdb2 1073737728 4096000 8192 2867200 7372800 1 running
none 0 0 0 0 0 0 none
END
run --output-all -n -r -q
awk 'NF != 29 { bad = 1 } END { exit bad || NR != 3 }' "$work/out" && [ "$code" = 0 ]
result 'all columns' $?

dev=ramzswap2
put 65536 queue/logical_block_size
shows 'pages are of the size that the device says' 0 62.5M -n -o BUSED ramzswap2
make_root

# --- sizes as in zramctl -----------------------------------------------------

dev=ramzswap0
while read -r bytes text; do
	put "$bytes" disksize
	shows "$bytes is $text" 0 "$text" -n -o DISKSIZE ramzswap0
done <<'END'
0 0B
1023 1023B
1024 1K
1075 1K
1076 1.1K
1536 1.5K
2047 2K
1048575 1024K
1048576 1M
1610612736 1.5G
1099511627776 1T
1152921504606846976 1E
9223372036854775807 8E
END
make_root
dev=ramzswap0
put 4096 stats/orig_data_size
put 8192 stats/mem_used
shows 'less than nothing saved' 0 '-4K' -n -o SAVED ramzswap0
shows 'less than nothing saved, in bytes' 0 '-4096' -b -n -o SAVED ramzswap0
make_root

# === What is not known ======================================================

says 'columns that only debugfs may have are named' 0 \
	"HOT, COLD: not in sysfs, and $root/sys/kernel/debug/ramzswap/ramzswap" -o +HOT
run -q -o HOT,COLD,ZERO -n -r ramzswap0
[ "$code" = 0 ] && [ ! -s "$work/err" ] && [ "$(cat "$work/out")" = '- - -' ]
result 'they are - and --quiet says nothing' $?
debugfs ramzswap0 <<'END'
backing_swap_name none
memlimit 1
pages_zero 16
orig_data_size 5
END
shows 'root finds it in debugfs' 0 64K -n -o ZERO ramzswap0
shows 'sysfs goes first' 0 '1G 0B' -n -r -o STORED,LIMIT ramzswap0
says 'what the kernel does not tell is named' 0 'HOT, COLD: the kernel does not tell' \
	-o HOT,ZERO,COLD ramzswap0
printf 'pages_cold 62144\ncompr_cold_size 134217728\n' >"$work/cold"
debugfs ramzswap0 <"$work/cold"
prints 'hot and cold' 0 -o HOT,COLD,HOTCOMPR,COLDCOMPR ramzswap0 <<'END'
   HOT   COLD HOTCOMPR COLDCOMPR
781.3M 242.8M     256M      128M
END
dev=ramzswap0
put 7 stats/pages_cold
shows 'hot and cold from sysfs, once it has them' 0 '1073713152 28672' \
	-n -r -b -o HOT,COLD ramzswap0
put 300000 stats/pages_cold
shows 'more is cold than there is' 0 0B -n -o HOT ramzswap0
make_root
rm -r "$root/sys/block/ramzswap0/stats"
says 'a kernel without these statistics' 0 'STORED, RATIO: not in sysfs' -o STORED,RATIO ramzswap0
printf 'orig_data_size 8192\ncompr_data_size 2048\nmem_used_total 4096\n' | debugfs ramzswap0
shows 'it has them in debugfs' 0 '8192 4.00 4096' -n -r -b -o STORED,RATIO,SAVED ramzswap0
make_root
if [ "$(id -u)" = 0 ]; then
	skip 'root may read everything'
else
	chmod 0 "$root/sys/block/ramzswap0/stats/mem_used"
	says 'a file that may not be read' 0 'MEMORY: not in sysfs' -o MEMORY ramzswap0
fi
rm "$root/proc/swaps"
says 'a kernel without /proc/swaps' 0 'SWAPPED: the kernel does not tell' -o SWAPPED ramzswap0
make_root

# === Damage =================================================================

dev=ramzswap0
for value in '' x -1 1x '1 2' ' 1' 0x10 1.5 9223372036854775808 99999999999999999999999999; do
	put "$value" stats/orig_data_size
	says "a file with \"$value\"" 1 'orig_data_size: ' -o STORED ramzswap0
	[ "$(tail -n 1 "$work/out")" = '     -' ]
	result "a file with \"$value\" is not shown" $?
done
: >"$root/sys/block/ramzswap0/stats/orig_data_size"
says 'an empty file' 1 'the file is cut off' -o STORED ramzswap0
printf 123 >"$root/sys/block/ramzswap0/stats/orig_data_size"
says 'a file that is cut off' 1 'the file is cut off' -o STORED ramzswap0
printf '12\0003\n' >"$root/sys/block/ramzswap0/stats/orig_data_size"
says 'a file with a zero byte' 1 orig_data_size -o STORED ramzswap0
head -c 100000 /dev/zero | tr '\0' 1 >"$root/sys/block/ramzswap0/stats/orig_data_size"
says 'a file that is too long' 1 orig_data_size -o STORED ramzswap0
rm "$root/sys/block/ramzswap0/stats/orig_data_size"
mkdir "$root/sys/block/ramzswap0/stats/orig_data_size"
says 'a directory instead of a file' 1 orig_data_size -o STORED ramzswap0
run -J
[ "$code" = 1 ] && grep -q '"stored": null' "$work/out" && grep -q '"compr": 402653184' "$work/out"
result 'the other numbers are shown' $?
make_root
put 9223372036854775807 stats/num_writes
says 'more pages than bytes can be counted' 1 'WRITTEN: too large' -o WRITTEN ramzswap0
put 9223372036854775807 stats/failed_reads stats/backing_stops
shows 'more errors than can be counted' 0 - -n -o ERRORS ramzswap0
put 9223372036854775807 stats/orig_data_size
put 1 stats/compr_data_size
shows 'a ratio beyond all measure' 0 - -n -o RATIO ramzswap0
for size in 0 x 999999999999; do
	put "$size" queue/logical_block_size
	run -o INCOMPR ramzswap0
	[ "$code" -le 1 ] && grep -q '[1-9].*M' "$work/out"
	result "a page of $size bytes is not believed" $?
done
make_root
printf 'pages_zero 1\npages_cold 12' | debugfs ramzswap0
says 'debugfs that is cut off' 1 'the file is cut off' -o ZERO,COLD ramzswap0
[ "$(tail -n 1 "$work/out")" = '  4K    -' ]
result 'its last line is not shown' $?
printf 'pages_zero\npages_cold \ncompr_cold_size -\n\n \npages_zeroes 3\n' | debugfs ramzswap0
says 'debugfs with lines that make no sense' 1 'pages_cold: not a number' \
	-o ZERO,HOT,COLD,COLDCOMPR ramzswap0
[ "$(tail -n 1 "$work/out")" = '   -   -    -         -' ]
result 'they are not shown' $?
head -c 100000 /dev/urandom | debugfs ramzswap0
run -o ZERO ramzswap0
[ "$code" = 1 ]
result 'debugfs with garbage' $?
printf '/dev/ramzswap0 partition 4194300 x 100\n' >"$root/proc/swaps"
says '/proc/swaps with garbage' 1 'makes no sense' -o SWAPPED ramzswap0
printf '/dev/ramzswap0 partition 41' >"$root/proc/swaps"
says '/proc/swaps that is cut off' 1 'makes no sense' -o SWAPPED ramzswap0
printf '%s partition 4194300 8 100\n' /dev/ramzswap00 /x/dev/ramzswap0 >"$root/proc/swaps"
shows '/proc/swaps with others' 0 - -n -o SWAPPED ramzswap0
for i in 1 2 3 4 5; do
	make_root
	for file in "$root"/sys/block/ramzswap0/stats/* \
		"$root"/sys/block/ramzswap0/[bdm]* "$root/proc/swaps"; do
		head -c $((i * i * 40)) /dev/urandom >"$file"
	done
	bad=0
	for format in --output-all --json --prometheus --raw; do
		run $format
		[ "$code" = 1 ] || bad=1
	done
	result "nothing but garbage, $i" $bad
done
make_root

# === Text ===================================================================

dev=ramzswap0
put "$(printf '/a b\\c"d\ne\033[31m\351\303\251\302\233')" backing_dev
shows 'an odd path in a table' 0 \
	"$(printf '/a b\\c"d\\x0ae\\x1b[31m\\xe9\303\251\\xc2\\x9b')" -n -o BACKING ramzswap0
shows 'an odd path in raw columns' 0 \
	"$(printf '/a\\x20b\\x5cc"d\\x0ae\\x1b[31m\\xe9\303\251\\xc2\\x9b')" \
	-r -n -o BACKING ramzswap0
run -J -o BACKING ramzswap0
want=$(printf '"backing": "/a b\\\\c\\"d\\u000ae\\u001b[31m\\ufffd\303\251\\ufffd\\ufffd"')
[ "$code" = 0 ] && grep -qF "$want" "$work/out"
result 'an odd path in JSON' $?
run -p ramzswap0
want=$(printf 'backing_dev="/a b\\\\c\\"d\\ne\033[31m\357\277\275\303\251')
[ "$code" = 0 ] && grep -qF "$want" "$work/out"
result 'an odd path for Prometheus' $?

# === JSON ===================================================================

# json_check DESCRIPTION EXPRESSION: true of the JSON, in Python
json_check() {
	if ! command -v python3 >/dev/null; then
		skip 'there is no python3'
		return
	fi
	python3 -m json.tool "$work/out" >/dev/null 2>>"$work/err" &&
		python3 -c '
import json, sys
data = json.load(open(sys.argv[1]))
devices = data["ramzswap"]
sys.exit(not eval(sys.argv[2]))' "$work/out" "$2" 2>>"$work/err"
	result "$1" $?
}

run --json
json_check 'JSON with an odd path' \
	'devices[0]["backing"].startswith("/a b\\c\"d\ne\x1b[31m\ufffd\u00e9")'
make_root
prints 'JSON of some columns' 0 \
	-J -o NAME,DISKSIZE,RATIO,BACKING,SWAPPED ramzswap10 ramzswap2 <<'END'
{
  "ramzswap": [
    {
      "name": "/dev/ramzswap10",
      "disksize": 4294967296,
      "ratio": null,
      "backing": "none",
      "swapped": null
    },
    {
      "name": "/dev/ramzswap2",
      "disksize": 4294967296,
      "ratio": 5.46,
      "backing": "/dev/sdb2",
      "swapped": 12288
    }
  ]
}
END
run -J
[ "$code" = 0 ] && [ ! -s "$work/err" ]
result 'JSON says nothing besides' $?
json_check 'JSON has all devices' \
	'[d["name"][5:] for d in devices] == ["ramzswap0", "ramzswap2", "ramzswap10"]'
json_check 'JSON has bytes' 'devices[0]["saved"] == 654311424 and devices[1]["bused"] == 4096000'
json_check 'JSON has null for what is unknown' \
	'devices[0]["cold"] is None and devices[2]["swapped"] is None'
json_check 'JSON has all columns' 'len(devices[0]) == 29'

# === Prometheus =============================================================

# What promtool checks: each line; HELP and TYPE once and first; no series twice; names of counters
cat >"$work/promcheck" <<'AWK'
function bad(why) { print "line " NR ": " why ": " $0 > "/dev/stderr"; errors++ }
/^# HELP [a-z_]+ [A-Z].*[^ ]$/ { if ($3 in help) bad("HELP again"); help[$3] = 1; next }
/^# TYPE [a-z_]+ (gauge|counter)$/ {
	if (!($3 in help) || $3 in type) bad("TYPE without HELP, or again")
	if (($4 == "counter") != ($3 ~ /_total$/)) bad("name of a counter")
	type[$3] = $4
	last = $3
	next
}
/^[a-z_]+[{]device="ramzswap[0-9]+"(,[a-z_]+="([^"\\]|\\["\\n])*")?[}] -?[0-9]+$/ {
	series = $0
	sub(/ [^ ]*$/, "", series)
	name = $0
	sub(/[{].*/, "", name)
	if (name != last) bad("not below its TYPE")
	if (series in seen) bad("the same again")
	seen[series] = 1
	samples++
	next
}
{ bad("not understood") }
END { exit errors || samples != want }
AWK
prom_check() {
	run -p
	[ "$code" = 0 ] && [ ! -s "$work/err" ] &&
		awk -v want="$2" -f "$work/promcheck" "$work/out" 2>>"$work/err"
	result "$1" $?
}
prom_check 'metrics' 59
for line in 'ramzswap_stored_bytes{device="ramzswap0"} 1073741824' \
	'# TYPE ramzswap_written_bytes_total counter' \
	'ramzswap_written_bytes_total{device="ramzswap0"} 1228800000' \
	'ramzswap_lost_pages_total{device="ramzswap2"} 3' \
	'ramzswap_backing_info{device="ramzswap2",backing_dev="/dev/sdb2"} 1' \
	'ramzswap_backing_stopped{device="ramzswap2"} 0'; do
	grep -qxF "$line" "$work/out"
	result "there is $line" $?
done
! grep -qE 'cold|swapped_bytes\{device="ramzswap10"' "$work/out"
result 'what is unknown has no metric' $?
dev=ramzswap2
put stopped backing_state
run -p
grep -qxF 'ramzswap_backing_stopped{device="ramzswap2"} 1' "$work/out"
result 'a backing device that has stopped' $?
printf 'a "b"\\\nc\n' >"$root/sys/block/ramzswap2/backing_dev"
debugfs ramzswap0 <"$work/cold"
prom_check 'metrics with an odd path and debugfs' 63
echo nonsense >>"$work/out"
! awk -v want=63 -f "$work/promcheck" "$work/out" 2>/dev/null
result 'the check of metrics can fail' $?
make_root

# === Rates ==================================================================

run -w 0.05 -c 3 -n -r -o SO,STORED ramzswap0
[ "$code" = 0 ] && [ "$(cat "$work/out")" = "$(printf '0B 1G\n0B 1G\n0B 1G')" ]
result 'three reports of nothing' $?
run -w 0.05 -c 2
[ "$(grep -c NAME "$work/out")" = 1 ] && [ "$(wc -l <"$work/out")" = 7 ]
result 'the heading comes once' $?
# The number changes once, after the first report; one of those that follow shows it.
# Then nobody reads any more, and the tool ends.
dev=ramzswap0
mkfifo "$work/pipe"
change() {
	# shellcheck disable=SC2086
	$RAMZSWAPSTAT --sysroot "$root" -w 0.5 -c 1000 -b -n -r -o SO ramzswap0 \
		>"$work/pipe" 2>"$work/err" &
	{
		read -r first
		put "$1" ../new
		mv "$root/sys/block/new" "$root/sys/block/$dev/stats/num_writes"
		while read -r so && [ "$so" = 0 ]; do :; done
	} <"$work/pipe"
	echo "$first $so" >"$work/out"
	wait $!
	code=$?
}
# 100000 pages in half a second; more or less where a report came late
change 400000
[ "$code" != 0 ] && [ "$first" = 0 ] && [ "$so" -gt 81920000 ] && [ "$so" -lt 8192000000 ]
result 'a rate' $?
change 5
[ "$code" != 0 ] && [ "$first $so" = '0 -' ]
result 'no rate when the numbers were reset' $?
make_root
run -w 0.05 -c 2 -J
[ "$(wc -l <"$work/out")" = 2 ] && [ "$code" = 0 ]
result 'JSON with a line for each report' $?
tail -n 1 "$work/out" >"$work/line"
mv "$work/line" "$work/out"
json_check 'each line is JSON, with the time and the rates' \
	'data["time"] > 1e9 and devices[0]["so"] == 0'

# === Errors =================================================================

says 'an unknown option' 2 --help --nonsense
says 'an unknown column' 2 'unknown column: NONSENSE' -o NAME,NONSENSE
says 'an empty column' 2 'unknown column' -o NAME,
says 'a rate without --wait' 2 'only known with --wait' -o SO
says 'formats that exclude each other' 2 'only one of' -J -p
says 'metrics again and again' 2 'neither' -p -w 1
says 'a count without --wait' 2 'is for --wait' -c 3
for value in 0 -1 x 1x '' nan inf 1e9; do
	says "an interval of \"$value\"" 2 'not a number of seconds' -w "$value"
done
for value in 0 -1 x 99999999999999999999; do
	says "a count of \"$value\"" 2 'not a number of reports' -w 1 -c "$value"
done
says 'a device that is not there' 1 'ramzswap7: there is no such device' ramzswap7
says 'the others are shown' 1 'there is no such device' ramzswap7 ramzswap2
[ "$(grep -c ramzswap2 "$work/out")" = 1 ]
result 'the others are shown, once' $?
for name in sda ramzswap ramzswapx ramzswap0/stats ../block/ramzswap0 '' /dev/ \
	ramzswap99999999999999999999; do
	says "\"$name\" is no device" 1 'not a ramzswap device' "$name"
done
rm -r "$root/sys/block"/ramzswap[0-9]*
says 'a kernel without a device' 1 'this kernel has no ramzswap device'
[ ! -s "$work/out" ]
result 'a kernel without a device has no table' $?
run -J
json_check 'JSON of nothing' 'devices == []'
run -p
[ ! -s "$work/out" ] && [ "$code" = 1 ]
result 'no metrics of nothing' $?
says 'it does not wait for one' 1 'this kernel has no ramzswap device' -w 1
rm -r "$root/sys"
says 'a machine without /sys' 1 "$root/sys/block: No such file"
make_root
if [ -e /dev/full ]; then
	# shellcheck disable=SC2086
	$RAMZSWAPSTAT --sysroot "$root" >/dev/full 2>"$work/err"
	code=$?
	[ "$code" = 1 ] && grep -q 'cannot write' "$work/err"
	result 'output that cannot be written' $?
else
	skip 'there is no /dev/full'
fi

# === The manual =============================================================

run --help
[ "$code" = 0 ] && [ ! -s "$work/err" ]
result '--help' $?
if [ -z "$man" ]; then
	skip 'the manual is not here'
else
	missing=
	sed 's/\\-/-/g; s/\\fB//g; s/\\fR//g' "$man" >"$work/man"
	for word in $(grep -oE -e '--[a-z-]+' "$work/out") \
		$(sed '1,/^Columns/d' "$work/out" | awk '{ print $1 }'); do
		grep -qE -e "(^|[^A-Za-z-])$word([^A-Za-z-]|\$)" "$work/man" ||
			missing="$missing $word"
	done
	grep -oE -e '--[a-z-]+' "$work/man" >"$work/words"
	while read -r word; do
		case $word in --show) continue ;; esac	# swapon's
		grep -qF -e "$word" "$work/out" || missing="$missing $word"
	done <"$work/words"
	[ -z "$missing" ]
	result "the manual has all options and columns$missing" $?
fi

if [ -n "$skipped" ]; then
	nr=$((nr + 1))
	echo "ok $nr # SKIP some of it: $skipped"
fi
echo "1..$nr"
[ "$failed" = 0 ]
