# SPDX-License-Identifier: GPL-2.0
"""Print the benchmark's table: table.py RAW.tsv NR_REFERENCES

RAW.tsv has lines "clock round machine case metric value". Of the rounds the median counts, with the lowest
and the highest in brackets. A ratio is taken within a round.
"""
import statistics
import sys

# Title, clock, metric, what to multiply with, decimals, cases (all if None), and maybe what is aimed at
METRICS = [
    ("us a page, out", "time", "out", 1e-3, 2, None),
    ("us a page, in", "time", "in", 1e-3, 2, None),
    ("us a page, free", "time", "free", 1e-3, 2, None),
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
]

NOTES = """\
Ratios: below 1, the series needs less. In brackets: lowest and highest of the rounds.
us: emulated, so that only ratios within this run mean anything. Instructions: as QEMU counts them, kernel and all.
out: MADV_PAGEOUT; in: a write to each page in sequence; free: MADV_DONTNEED of all. Without readahead, LZ4.
Metadata: slabs of entries, handles, xarray nodes and zspages, and zram's table; not the swap table, which all have.
With a swap disk (zswap, series), each page occupies a slot of the disk, too. Half freed: random pages, a second later."""


def read(path):
    values, machines, cases = {}, [], []
    with open(path, encoding="ascii") as f:
        for line in f:
            if line.startswith("#"):
                continue
            clock, nr, machine, case, metric, value = line.split()
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


def print_table(values, machines, cases, nr_references, metrics):
    references, others = machines[:nr_references], machines[nr_references:]
    goals = any(len(metric) > 6 for metric in metrics)
    table = [["", *(f"{o} / {r}" for o in others for r in references), *machines, *(["target"] if goals else [])]]
    for title, clock, metric, scale, decimals, only, *goal in metrics:
        for case in cases:
            rounds = {m: values.get((clock, m, case, metric), {}) for m in machines}
            if only and case not in only or not any(rounds.values()):
                continue
            row = [title if only else f"{title}, {case}"]
            for other in others:
                for reference in references:
                    both = rounds[other].keys() & rounds[reference].keys()
                    row.append(cell([rounds[other][n] / rounds[reference][n]
                                     for n in both if rounds[reference][n]], 3))
            for machine in machines:
                row.append(cell([v * scale for v in rounds[machine].values()], decimals))
            table.append(row + goal)

    widths = [max(len(row[i]) for row in table if i < len(row)) for i in range(len(table[0]))]
    for row in table:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip())
    print()


def main(path, nr_references):
    values, machines, cases = read(path)
    print_table(values, machines, cases, nr_references, METRICS)
    print(NOTES)
    off = [v for (clock, _, _, metric), rounds in values.items()
           if clock == "instructions" and metric == "calibration" for v in rounds.values() if abs(v - 2) > 0.05]
    if off:
        print(f"WARNING: the instruction clock is off: a loop of 2 instructions took {off}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
