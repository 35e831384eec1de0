# SPDX-License-Identifier: GPL-2.0
"""Print the benchmark's table: table.py RAW.tsv NR_REFERENCES

RAW.tsv has lines "clock round machine case metric value"; of a clock, what is before a "-" counts. Of the rounds
the median counts, with the lowest and the highest in brackets. A ratio is taken within a round.
"""
import statistics
import sys

# Title, clock, metric, what to multiply with, decimals, cases (all if None), and maybe what is aimed at (report.py
# has the targets of bench.sh)
METRICS = [
    ("us a page, out", "time", "out", 1e-3, 2, None),
    ("us a page, in", "time", "in", 1e-3, 2, None),
    ("us a page, free", "time", "free", 1e-3, 2, None),
    ("CPU us a page, out + in + free", "time", "cpu", 1e-3, 2, None),
    ("instructions a page, out", "instructions", "out", 1, 0, None),
    ("instructions a page, in", "instructions", "in", 1, 0, None),
    ("instructions a page, free", "instructions", "free", 1, 0, None),
    ("pool + metadata a compressed byte, full", "time", "held_full", 1, 3, None),
    ("pool + metadata a compressed byte, half freed", "time", "held_half", 1, 3, None),
    ("pool bytes a page, full", "time", "pool_full", 1, 0, ["4k"]),
    ("pool bytes a page, half freed", "time", "pool_half", 1, 0, ["4k"]),
    ("metadata bytes a page, full", "time", "meta_full", 1, 1, ["4k"]),
    ("metadata bytes a page, half freed", "time", "meta_half", 1, 1, ["4k"]),
    ("compressed bytes a page", "time", "compressed_full", 1, 0, ["4k"]),
    ("share swapped in in large folios", "time", "folios_in", 1, 2, None),
    ("major faults a page, in", "time", "faults_in", 1, 3, None),
    ("pages read from the disk", "pressure", "disk_in", 1, 0, None),
    ("of them, in the second half", "pressure", "disk_in_late", 1, 0, None),
    ("pages written to the disk", "pressure", "disk_out", 1, 0, None),
    ("major faults", "pressure", "major", 1, 0, None),
    ("us a use of a page", "pressure", "touch", 1e-3, 2, None),
    ("MiB of compressed pages, before", "pressure", "pool_before", 1 / 256, 1, None),
    ("MiB of compressed pages, after", "pressure", "pool_after", 1 / 256, 1, None),
    ("aging, hot set: pages read from the disk", "aging", "disk_in", 1, 0, None),
    ("aging, hot set: major faults", "aging", "major", 1, 0, None),
    ("aging, pages written to the disk", "aging", "disk_out", 1, 0, None),
    ("aging, pages written while only reading", "aging", "disk_out_reading", 1, 0, None),
    ("capacity: MiB written before the kill", "capacity", "pages", 1 / 256, 0, None),
    ("capacity: s until it is gone", "capacity", "until_kill", 1e-9, 1, None),
    ("capacity: s from the last MiB until it is gone", "capacity", "since_last", 1e-9, 2, None),
    ("capacity: s from the last page until it is gone", "capacity", "since_last_page", 1e-9, 2, None),
    ("capacity: s from the last page to the kill", "capacity", "kill_since_page", 1e-9, 2, None),
    ("capacity: s from the kill until it is gone", "capacity", "gone_since_kill", 1e-9, 2, None),
    ("capacity: s, longest without a MiB before that", "capacity", "longest", 1e-9, 2, None),
    ("capacity: s in which all waited for memory", "capacity", "pressure_full", 1e-9, 2, None),
    ("spill: bytes written a page written", "spill", "written_bytes_page", 1, 0, None),
    ("spill: pages allocated to write 100", "spill", "allocated_page", 100, 2, None),
    ("spill: requests to write 100 pages", "spill", "written_requests_page", 100, 2, None),
    ("spill: MiB held, with what is in memory", "spill", "held", 1 / 256, 0, None),
    ("spill: us a random fault, median", "spill", "fault_median", 1e-3, 1, None),
    ("spill: us a random fault, 9 of 10 within", "spill", "fault_high", 1e-3, 1, None),
    ("spill: requests to read 100 pages, in sequence", "spill", "sequence_requests_page", 100, 2, None),
    ("spill: s of swapoff", "spill", "swapoff", 1e-9, 2, None),
    ("spill: requests of swapoff", "spill", "swapoff_requests", 1, 0, None),
    *((f"locks, {phase}: {what}", "locks", f"{phase}_{metric}", scale, decimals, [case])
      for phase in ("out", "in", "exit")
      for what, case, metric, scale, decimals in [
          ("taken a page", "8-cpus", "taken", 1, 1), ("waited for in 1000 pages", "8-cpus", "waits", 1000, 1),
          ("from another CPU, a page", "8-cpus", "bounces", 1, 2), ("of swap, held ns a page", "1-cpu", "held", 1, 0),
          ("of swap, longest held us", "1-cpu", "longest", 1e-3, 1)]),
    ("age: pool bytes a page, once stored", "age", "pool_full", 1, 0, ["10-s"]),
    ("age: pool bytes a page, idle", "age", "pool_idle", 1, 0, None),
    ("age: metadata bytes a page, idle", "age", "meta_idle", 1, 1, None),
    *((f"age: instructions of a {what}, {name} percentile", "age", f"{metric}_{p}", 1, 0, ["latency"])
      for what, metric in [("page out", "out"), ("fault, hot", "hot"), ("fault, cold", "cold")]
      for name, p in [("50th", "p50"), ("99th", "p99"), ("99.9th", "p999")]),
    ("age: instructions a touch, 80 % of them to 20 % of the pages", "age", "mixed", 1, 0, ["mixed"]),
    ("age: busy programs, of 1000 rounds without", "age", "busy", 1, 0, ["busy"]),
    ("compile, memcg 20 % too small: 10^9 instructions", "compile", "us", 1e-6, 2, None),
    ("compile, memcg large enough: 10^9 instructions", "compile", "us_unlimited", 1e-6, 2, None),
    ("compile, memcg 20 % too small: major faults", "compile", "major", 1, 0, None),
    ("compile, memcg 20 % too small: pages swapped in", "compile", "in", 1, 0, None),
    ("compile, memcg 20 % too small: pages swapped out", "compile", "out", 1, 0, None),
]

NOTES = """\
Ratios: below 1, the series needs less. In brackets: lowest and highest of the rounds.
us: emulated, so that only ratios within this run mean anything. Instructions: as QEMU counts them, kernel and all.
out: MADV_PAGEOUT; in: each page is written to, in sequence or not; free: MADV_DONTNEED of all. Without readahead, LZ4.
CPU: of the process that swaps, on average of all passes, not only the fastest.
Metadata: slabs of entries, handles, xarray nodes and zspages, and zram's table; not the swap table, which all have.
With a swap disk (zswap, series), each page occupies a slot of the disk, too. Half freed: random pages, a second later.
Inversion: more pages than fit, never used again; then a working set that fits only if it is compressed, used at random.
The zswaps write to the disk when they are full; behind zram it is the swap of lower priority, behind ramzswap-backing
the backing device. zram's disksize is such that, full of these pages, it takes what the others are allowed to; all
other settings are the defaults. A major fault is one that had to read from swap, compressed or on the disk. The disk
is a file in the host's memory, so that time tells little of what its reads cost: count these.
Aging: see the head of scripts/bench/aging.c; memory and limit are those of the inversion. A hot set's major faults are
those of its processes, compressed or on the disk.
Capacity: a process writes pages until it is killed; zram has three times RAM, all else is as it comes. Half: every second
page does not compress.
Age: see the head of scripts/bench/age.c. ramzswap-hot: with zswap.cold_compressor empty. Idle: after so many seconds.
Locks: eight processes swap 24 MiB each at once, LZ4, in kernels with CONFIG_LOCK_STAT. Taken, waited for and from another
CPU: all locks of the kernel, eight emulated CPUs. Held: those of swap (see scripts/bench/locks.c), one CPU, a ns is an
instruction, and interrupts are included.
Spill: real pages that go to the disk, and come back; of zswap, the cache may take 1 % of memory. Times are of an emulated
machine. ssd: a disk as fast as the host's memory; hdd: one that reads 150 times a second.
Compile: three cc1 of the same file at once, in 80 % of what they take with 4k if they may. 16k+64k: folios of these
sizes are enabled, so that memory is taken in them at once. All that the cgroup's processes do is counted."""


def read(path):
    values, machines, cases = {}, [], []
    with open(path, encoding="ascii") as f:
        for line in f:
            if line.startswith("#"):
                continue
            clock, nr, machine, case, metric, value = line.split()
            clock, _, kind = clock.partition("-")
            # Of the others, the cases have these names.
            case = f"{case}, {kind}" if clock == "spill" else case
            if machine not in machines:
                machines.append(machine)
            if case not in cases:
                cases.append(case)
            key = clock, machine, case, metric
            values.setdefault(key, {})[int(nr)] = float(value)
    return values, machines, cases


def cell(numbers, decimals):
    if not numbers:
        return "-"
    median, low, high = (f"{n:.{decimals}f}" for n in (statistics.median(numbers), min(numbers), max(numbers)))
    return median if low == high else f"{median} ({low}..{high})"


def print_rows(rows):
    widths = [max(len(row[i]) for row in rows if i < len(row)) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip())
    print()


def print_table(values, machines, cases, references, metrics, apart=False):
    """With apart, the ratios are a table of their own."""
    others = [m for m in machines if m not in references]
    goals = any(len(metric) > 6 for metric in metrics)
    ratios = [["", *(f"{o} / {r}" for o in others for r in references)]]
    numbers = [["", *machines]]
    ends = [["target"] if goals else []]
    for title, clock, metric, scale, decimals, only, *goal in metrics:
        for case in cases:
            rounds = {m: values.get((clock, m, case, metric), {}) for m in machines}
            if only and case not in only or not any(rounds.values()):
                continue
            name = title if only else f"{title}, {case}"
            ratios.append([name, *(
                cell([rounds[o][n] / rounds[r][n] for n in rounds[o].keys() & rounds[r].keys() if rounds[r][n]], 3)
                for o in others for r in references)])
            numbers.append([name, *(cell([v * scale for v in rounds[m].values()], decimals) for m in machines)])
            ends.append(goal)

    if apart:
        print_rows(numbers)
        print_rows([a + b for a, b in zip(ratios, ends)])
    else:
        print_rows([a + b[1:] + c for a, b, c in zip(ratios, numbers, ends)])


def main(path, nr_references):
    values, machines, cases = read(path)
    aged = [m for m in machines if any(key[0] == "age" and key[1] == m for key in values)]
    for take_part, references, metrics in [
            ([m for m in machines if m not in ("zswap-zstd", "ramzswap-hot")], machines[:nr_references],
             [m for m in METRICS if m[1] != "age"]),
            (aged, [m for m in ("zram-zstd", "ramzswap-hot") if m in aged], [m for m in METRICS if m[1] == "age"])]:
        if any(key[0] == metric[1] for key in values for metric in metrics):
            print_table(values, take_part, cases, references, metrics, apart=True)
    print(NOTES)
    off = [v for (clock, _, _, metric), rounds in values.items()
           if clock == "instructions" and metric == "calibration" for v in rounds.values() if abs(v - 2) > 0.05]
    if off:
        print(f"WARNING: the instruction clock is off: a loop of 2 instructions took {off}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
