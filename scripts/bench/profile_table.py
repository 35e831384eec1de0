# SPDX-License-Identifier: GPL-2.0
"""Print where instructions go: profile_table.py COUNTS OBJ NR_PAGES

COUNTS is what insns.c writes, OBJ the kernel's object directory. For each phase, the source files that have most of
the instructions, and of these the functions. What runs in user space is one line.
"""
import bisect
import collections
import pathlib
import subprocess
import sys

PHASES = {1: "out", 2: "in", 3: "free"}
KERNEL_SPACE = 1 << 63
ENOUGH = 0.97  # of the instructions are shown, function by function


def read_symbols(path):
    symbols = []
    with open(path, encoding="ascii") as f:
        for line in f:
            address, kind, name = line.split()
            if kind in "tTwW":
                symbols.append((int(address, 16), name))
    return sorted(symbols)


def read_files(obj):
    """Which object file a function is in. Of static functions of one name, any."""
    objects = [str(p) for p in pathlib.Path(obj).rglob("*.o") if p.name not in ("built-in.o", "vmlinux.o")]
    text = subprocess.run(["nm", "-A", "--defined-only", *objects], check=True, capture_output=True, text=True).stdout
    files = {}
    for line in text.splitlines():
        where, rest = line.rsplit(":", 1)
        _, kind, name = rest.split()
        if kind in "tTwW":
            files.setdefault(name, str(pathlib.Path(where).relative_to(obj)))
    return files


def main():
    counts, obj, nr_pages = sys.argv[1], sys.argv[2], int(sys.argv[3])
    symbols, files = read_symbols(f"{obj}/System.map"), read_files(obj)
    addresses = [address for address, _ in symbols]
    phases = collections.defaultdict(lambda: collections.defaultdict(collections.Counter))
    with open(counts, encoding="ascii") as f:
        for line in f:
            phase, address, count = line.split()
            address, name = int(address, 16), "user space"
            if address >= KERNEL_SPACE:
                name = symbols[bisect.bisect(addresses, address) - 1][1]
            file = files.get(name.split(".")[0], "") or files.get(name, "")
            phases[int(phase)][file.removesuffix(".o")][name] += int(count)

    for phase, by_file in sorted(phases.items()):
        total = sum(functions.total() for functions in by_file.values())
        print(f"\n{PHASES[phase]}: {total / nr_pages:.0f}")
        shown = 0
        for file, functions in sorted(by_file.items(), key=lambda item: -item[1].total()):
            print(f"  {functions.total() / nr_pages:8.1f}  {file or '(elsewhere)'}")
            for name, count in functions.most_common(12):
                if count < total / 1000:
                    break
                print(f"  {count / nr_pages:16.1f}  {name}")
            shown += functions.total()
            if shown > ENOUGH * total:
                print(f"  {(total - shown) / nr_pages:8.1f}  all other files")
                break


main()
