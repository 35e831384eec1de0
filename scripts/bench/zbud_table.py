# SPDX-License-Identifier: GPL-2.0
"""Print the table of zbud beside zsmalloc: zbud_table.py RAW.tsv

RAW.tsv is as table.py reads it; a machine is an allocator, and a case a set of sizes.
"""
import sys

import table

NEVER_WORSE = "ratio <= 1"
METRICS = [
    ("pool bytes a compressed byte, full", "native", "full_pool_per_byte", 1, 3, None, "<= 1.03, " + NEVER_WORSE),
    ("pool bytes a compressed byte, churned", "native", "churned_pool_per_byte", 1, 3, None,
     "<= 1.05, " + NEVER_WORSE),
    ("pool bytes a compressed byte, half freed", "native", "half_pool_per_byte", 1, 3, None, "<= 1.15"),
    ("metadata bytes an object, full", "native", "full_meta_per_object", 1, 1, None, NEVER_WORSE),
    ("metadata bytes an object, churned", "native", "churned_meta_per_object", 1, 1, None, NEVER_WORSE),
    ("ns store + free, fill and empty", "native", "fill_cycle", 1, 0, None, "ratio <= 0.667"),
    ("ns store + free, churn", "native", "churn_cycle", 1, 0, None, "ratio <= 0.667"),
    *((f"ns {what}, {value}", "native", f"{metric}_{key}", 1, 0, None, goal)
      for what, metric, worse in [("store, churn", "churn_store", ""), ("free, churn", "churn_free", ""),
                                  ("read, full", "full_read", NEVER_WORSE),
                                  ("read, churned", "churned_read", NEVER_WORSE)]
      for value, key, goal in [("mean", "mean", worse), ("median", "median", worse), ("p99.9", "p999", "ratio < 1")]),
    *((f"share of pages left {ms} ms after half is freed", "native", f"left_{ms}ms", 1, 3, None, "")
      for ms in (0, 100, 1000)),
    ("ns an operation, all CPUs on one pool", "contended", "contended_operation", 1, 0, None, NEVER_WORSE),
    *((f"{what} in 1000 operations, 8 CPUs{who}", f"locks{one}", metric, 1 / 52, 1, None, goal)
      for one, who in [(0, ""), (1, ", one stored")]
      for what, metric, goal in [("locks taken", "locks", ""), ("locks waited for", "waits", NEVER_WORSE),
                                 ("locks from another CPU", "bounces", NEVER_WORSE)]),
    ("instructions store + free, fill and empty", "counted", "fill_cycle", 1, 0, None, "ratio <= 0.667"),
    ("instructions store + free, churn", "counted", "churn_cycle", 1, 0, None, "ratio <= 0.667"),
    *((f"instructions {what}, {value}", "counted", f"{metric}_{key}", 1, 0, None, goal)
      for what, metric, worse in [("store, fill", "fill_store", ""), ("store, churn", "churn_store", ""),
                                  ("free, churn", "churn_free", ""), ("read, full", "full_read", NEVER_WORSE),
                                  ("read, churned", "churned_read", NEVER_WORSE)]
      for value, key, goal in [("mean", "mean", worse), ("p99.9", "p999", "ratio < 1")]),
]

NOTES = """\
Ratios: below 1, zbud needs less. In brackets: lowest and highest of the rounds.
ns: User-mode Linux at this machine's speed, less what the clock itself takes; the mean is of all but the slowest 0.1 %.
Whatever else runs here shows in the times of p99.9 and of all CPUs on one pool: compare the lowest, or instructions.
8 CPUs are emulated, and locks are counted while they store 20,000 objects and do 32,000 operations; with one stored,
one of them stores the objects, and then all use them, as after kswapd. From another CPU: which took it last.
Instructions: as QEMU counts them, copying included, at one word an instruction; with 30,000 objects instead of 60,000.
Store: allocate and write. Read: get at an object, copy it, let go. Churn: a random object freed, another stored.
Half freed: a random half, after a second. Churned: after six times freeing and storing a random half.
Metadata: zsmalloc's slabs of handles and zspages, without its pool; zbud_meta_bytes(); and the owner's word for either."""


def main(path):
    values, machines, cases = table.read(path)
    table.print_table(values, machines, cases, machines[:1], METRICS)
    print(NOTES)


if __name__ == "__main__":
    main(sys.argv[1])
