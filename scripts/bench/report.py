# SPDX-License-Identifier: GPL-2.0
"""Make a report of what bench.sh measured: report.py DIR [OUT [TARGETS]]
Compare numbers in texts with the report's: report.py --marks SUMMARY.tsv FILE...

DIR has the .tsv files of all runs. Of each case, the newest run counts that came to its end, or else the newest.
OUT (DIR if not given) gets report.md, summary.md (its first part), summary.tsv (the targets' numbers), and
report/NAME.gp, which gnuplot turns into report/NAME.svg.

A number in a text that is followed by <!-- bench: KEY -->, [bench: KEY] or, on a line of its own, ".. bench: KEY" is
the summary's number of that key, rounded.
"""
import math
import pathlib
import re
import statistics
import sys

import table
import zbud_table

HERE = pathlib.Path(__file__).parent
# In the report's order. A clock is a kind, maybe with a "-" and more; zbud's clocks have names of their own.
KINDS = {
    "time": "speed and memory", "pressure": "LRU inversion", "aging": "which pages go to the disk",
    "capacity": "how much fits before the out-of-memory killer comes", "age": "pages that are not used for a while",
    "spill": "what leaves for a disk, and comes back", "cleaning": "blocks of the backing device, in a model",
    "compile": "a compiler in a cgroup that is too small", "instructions": "by QEMU's count",
    "locks": "eight processes", "zbud": "zbud beside zsmalloc, sizes of all programs",
}
ZBUD_CLOCKS = ("native", "contended", "counted", "locks0", "locks1")
CLEANING = [(f"cleaning: {what}", "cleaning", metric, 1, 2, None) for what, metric in [
    ("blocks written for a new one", "written"), ("blocks read for a new one", "read")]]
MACHINES = ["mainline-zswap", "zswap-zstd", "mainline-zram", "zram-zstd", "series", "ramzswap-hot", "ramzswap",
            "ramzswap-backing", "unpacked", "no-swap", "zsmalloc", "zbud", "model"]
COLOURS = dict(zip(MACHINES, [
    "#999999", "#666666", "#e69f00", "#b35900", "#56b4e9", "#cc79a7", "#0072b2", "#009e73", "#f0e442", "#dddddd",
    "#e69f00", "#0072b2", "#000000"]))
MARK = re.compile(r"<!-- bench: (\S+) -->|\[bench: ([^]\s]+)\]|^ *\.\. bench: (\S+)$", re.MULTILINE)
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?")


class Run:
    def __init__(self, path):
        self.path, self.name = path, re.search(r"\d{8}-\d{6}", path.name).group()
        self.header, self.cases = [], {}  # cases: {(clock, case): {(machine, metric): {round: value}}}
        clock = None
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("#"):
                self.header += [] if line.startswith("# clock") else [line[2:]]
                continue
            clock, nr, machine, case, metric, value = line.split("\t")
            self.cases.setdefault((clock, case), {}).setdefault((machine, metric), {})[int(nr)] = float(value)
        # The table is written at the end (of cleaning, before the numbers); clocks follow one another.
        self.unfinished = None if clock == "cleaning" or path.with_suffix(".txt").exists() else clock

    def date(self):
        d = self.name
        return f"{d[:4]}-{d[4:6]}-{d[6:8]} {d[9:11]}:{d[11:13]}"

    def command(self):
        said = [line.removeprefix("command: ") for line in self.header if line.startswith("command: ")]
        return said[0] if said else "scripts/bench.sh " + " ".join(dict.fromkeys(
            "zbud" if c in ZBUD_CLOCKS else c for c, _ in self.cases))


def kind_of(clock):
    return "zbud" if clock in ZBUD_CLOCKS else clock.partition("-")[0]


def newest(*directories):
    """{(clock, case): run}; of a run that is in several directories, the first counts"""
    paths = {}
    for directory in directories:
        for p in pathlib.Path(directory).glob("*.tsv"):
            if re.search(r"\d{8}-\d{6}", p.name):
                paths.setdefault(p.name, p)
    runs = [Run(paths[name]) for name in sorted(paths)]
    chosen = {}
    for run in sorted(runs, key=lambda r: r.name):
        for clock, case in run.cases:
            old = chosen.get((clock, case))
            if not old or run.unfinished != clock or old.unfinished == clock:
                chosen[clock, case] = run
    # By the size of the memory, otherwise as they were run
    return dict(sorted(chosen.items(), key=lambda item: int(re.search(r"-(\d+)|$", item[0][0]).group(1) or 0)))


def rounds_of(chosen, clock, machine, case, metric):
    """A sum of metrics has the rounds that all of them have."""
    run = chosen.get((clock, case))
    parts = [run.cases[clock, case].get((machine, m), {}) if run else {} for m in metric.split("+")]
    return {nr: sum(p[nr] for p in parts) for nr in parts[0] if all(nr in p for p in parts)}


def compared(chosen, clock, case, metric, what):
    """What a column "compared" of the targets means: a list of a number each round"""
    left, _, right = what.partition("/")
    a = rounds_of(chosen, clock, left, case, metric)
    try:
        by = float(right or 1)
    except ValueError:
        b = rounds_of(chosen, clock, right, case, metric)
        # Nothing is any part of nothing.
        return [a[nr] / b[nr] if b[nr] else math.inf if a[nr] else 0.0 for nr in a if nr in b]
    return [v / by for v in a.values()]


class Target:
    """A line of the targets, with what was reached: [(key, case, numbers)]"""
    def __init__(self, line, chosen):
        self.key, clock, cases, metric, machines, self.target, self.what = line.split("\t")
        self.compared, self.measured = machines, clock != "-"
        strangers = [m for m in machines.split("/") if not re.fullmatch(r"-|[\d.e]+", m) and m not in MACHINES]
        if strangers or (self.measured and kind_of(clock) not in KINDS):
            sys.exit(f"targets: {self.key}: unknown names: {clock} {' '.join(strangers)}")
        mean = re.fullmatch(r"mean\((.*)\)", cases)
        names = (mean.group(1) if mean else cases).split(",")
        found = [(c, k) for c, k in chosen if clock in (c, c.partition("-")[0])]
        if names == ["*"]:
            names = [k for _, k in found] or ["any"]
        self.reached = [(f"{self.key}.{name}" if "," in cases or "*" in cases else self.key, name,
                         next((compared(chosen, c, k, metric, machines) for c, k in found if k == name), []))
                        for name in names]
        # No mean of some of them
        if mean:
            medians = [statistics.median(numbers) for _, _, numbers in self.reached if numbers]
            self.reached = [(self.key, "mean", [statistics.mean(medians)] if len(medians) == len(names) else [])]

    def verdict(self, numbers):
        if not numbers:
            return "not run" if self.measured else "not measured"
        relation, number = self.target.split()
        median = statistics.median(numbers)
        good = median <= float(number) if relation == "<=" else median >= float(number)
        return "reached" if good else "missed"


def read_targets(path, chosen):
    lines = pathlib.Path(path).read_text(encoding="utf-8").splitlines()
    return [Target(line, chosen) for line in lines if line and not line.startswith("#")]


def md_row(cells):
    return "| " + " | ".join(cells) + " |"


def md_table(head, rows, align="---:"):
    return [md_row(head), md_row(["---", *[align] * (len(head) - 1)]), *map(md_row, rows), ""]


def targets_text(targets):
    verdicts = [t.verdict(numbers) for t in targets for _, _, numbers in t.reached]
    counts = ", ".join(f"{verdicts.count(v)} {v}" for v in ("reached", "missed", "not run", "not measured"))
    text = ["## Targets", "", counts + " (no benchmark measures it). The median of the rounds counts; lowest and highest in"
            " brackets, unless there is only one. A ratio is taken within a round.", ""]
    rows = []
    for t in targets:
        cells = []
        for _, case, numbers in t.reached:
            name = f"{case}: " if len(t.reached) > 1 else ""
            verdict = t.verdict(numbers)
            cells.append(name + ", ".join(([table.cell(numbers, 3)] if numbers else []) +
                                          {"reached": [], "missed": ["**missed**"]}.get(verdict, [verdict])))
        rows.append([f"`{t.key}`", t.what, "" if t.compared == "-" else t.compared, t.target, "<br>".join(cells)])
    return text + md_table(["key", "what", "compared", "target", "reached"], rows, "---")


def summary_tsv(targets):
    lines = ["# key\tmedian\tlowest\thighest\ttarget\tverdict\n"]
    for t in targets:
        for key, _, numbers in t.reached:
            cells = [f"{f(numbers):.4f}" for f in (statistics.median, min, max)] if numbers else ["-"] * 3
            lines.append("\t".join([key, *cells, t.target, t.verdict(numbers)]) + "\n")
    return "".join(lines)


def runs_text(chosen):
    text = ["## Runs", ""]
    for run in sorted(set(chosen.values()), key=lambda r: (r.name, r.command())):
        text += [f"{run.name}: {run.date()}, `{run.command()}`", ""]
        lines = [f"    {line}" for line in run.header if not line.startswith("command: ")]
        text += [*lines, ""] if lines else []
    return text


def of_runs(chosen, kind):
    """From which runs a kind's cases are"""
    runs = {}
    for (clock, case), run in chosen.items():
        if kind_of(clock) == kind:
            runs.setdefault(run, {})[clock] = runs.get(run, {}).get(clock, []) + [case]
    words = []
    for run, clocks in sorted(runs.items(), key=lambda item: (item[0].name, item[0].command())):
        rounds = sorted({len(r) for (clock, case) in run.cases if clock in clocks
                         for r in run.cases[clock, case].values()})
        which = "" if len(runs) == 1 else ", ".join(c for cases in clocks.values() for c in cases) + ": "
        words.append(f"{which}run {run.name}, `{run.command()}`, {' to '.join(map(str, rounds[:1] + rounds[1:][-1:]))} "
                     f"round{'' if rounds == [1] else 's'}{', not finished' if run.unfinished in clocks else ''}")
    return "; ".join(words)


def tables_text(chosen):
    text = ["series: the series' zswap on a swap disk; ramzswap-hot: without recompression; unpacked: a kernel of the "
            "series that writes one page to a block. Medians of the rounds, lowest and highest in brackets.", ""]
    metrics = table.METRICS + CLEANING + [(*metric[:5], None) for metric in zbud_table.METRICS]
    for kind, what in KINDS.items():
        cells = []  # of a row: its title, and numbers by machine
        for title, clock, metric, scale, decimals, only, *_ in metrics:
            for c, case in chosen:
                # Of the others, locks' and spill's clocks have a kind of disk or a number of CPUs in their names.
                if kind_of(c) != kind or (c if kind == "zbud" else kind) != clock or (only and case not in only) or (
                        kind == "zbud" and case != "mixed"):
                    continue
                by_machine = {m: [v * scale for v in rounds_of(chosen, c, m, case, metric).values()]
                              for m in machines_of(chosen, c, case)}
                if any(by_machine.values()):
                    suffix = "" if only or kind == "zbud" else f", {case}" + (f", {c[6:]}" if kind == "spill" else "")
                    cells.append((title + suffix, {m: table.cell(n, decimals) for m, n in by_machine.items()}))
        text += [f"## {kind}: {what}", ""]
        if not cells:
            text += ["Not run.", ""]
            continue
        columns = [m for m in ordered({m for _, row in cells for m in row})
                   if any(row.get(m, "-") != "-" for _, row in cells)]
        text += [of_runs(chosen, kind) + ".", ""]
        text += md_table(["", *columns], [[title, *(row.get(m, "-") for m in columns)] for title, row in cells])
    return text


def ordered(machines):
    return sorted(machines, key=lambda m: (MACHINES.index(m) if m in MACHINES else len(MACHINES), m))


def machines_of(chosen, clock, case):
    return ordered({m for m, _ in chosen[clock, case].cases[clock, case]}) if (clock, case) in chosen else []


def matching(chosen, clock, case, pattern):
    """The part in parentheses of a case's metrics of that pattern"""
    key = clock, case
    return {m.group(1) for _, metric in (chosen[key].cases[key] if key in chosen else ())
            if (m := re.fullmatch(pattern, metric))}


# --- plots: each returns gnuplot's lines, or none if there is nothing to show ---

HEAD = """\
set terminal svg size 800,{height} noenhanced font "sans-serif,13" background "white"
set output "{name}.svg"
set title "{title}"
set border 3
set tics nomirror out
set grid ytics lc rgb "#e0e0e0"
set key outside right top
"""


def colour(machine):
    return f'lc rgb "{COLOURS.get(machine, "#000000")}"'


def bars(groups, machines):
    """groups: [(label, {machine: numbers})], as bars side by side, with the lowest and highest of the rounds"""
    lines = ["set style data histograms", "set style histogram errorbars gap 1.5 lw 1",
             "set style fill solid 0.9", "set yrange [0:*]", "$d << END"]
    for label, numbers in groups:
        cells = [f'"{label}"']
        for m in machines:
            n = numbers.get(m) or []
            cells += [f"{f(n):.6g}" for f in (statistics.median, min, max)] if n else ["NaN"] * 3
        lines.append(" ".join(cells))
    lines += ["END", "plot " + ", \\\n\t".join(
        f'$d using {3 * i + 2}:{3 * i + 3}:{3 * i + 4}:xtic(1) title "{m}" {colour(m)}'
        for i, m in enumerate(machines))]
    return lines


def curves(series, plot="plot"):
    """series: [(title, style, [(x, y)])]"""
    lines, parts = [], []
    for i, (title, style, points) in enumerate(series):
        lines += [f"${plot}{i} << END", *(f"{x:.6g} {y:.6g}" for x, y in points), "END"]
        parts.append(f'${plot}{i} using 1:2 with linespoints pt 7 ps 0.6 lw 2 {style} title "{title}"')
    return lines + ["plot " + ", \\\n\t".join(parts)]


def bar_groups(chosen, kind, metric, scale, label):
    groups = []
    for clock, case in chosen:
        if kind_of(clock) == kind:
            groups.append((label(clock, case), {m: [v * scale(clock) for v in r.values()]
                                                for m in machines_of(chosen, clock, case)
                                                if (r := rounds_of(chosen, clock, m, case, metric))}))
    return [g for g in groups if g[1]]


def plot_bars(groups):
    return bars(groups, ordered({m for _, numbers in groups for m in numbers})) if groups else []


def plot_capacity(chosen):
    groups = bar_groups(chosen, "capacity", "pages", lambda clock: 1 / 256 / int(clock.partition("-")[2]),
                        lambda _, case: case)
    return groups and ['set ylabel "data written, in times of RAM"', *plot_bars(groups)]


def plot_writes(chosen):
    groups = bar_groups(chosen, "aging", "disk_out", lambda _: 1 / 256, lambda _, case: case)
    return groups and ['set ylabel "MiB written to the disk"', *plot_bars(groups)]


def median_points(chosen, clock, machine, wanted):
    """wanted: [(x, case, metric)]; the medians of what there is"""
    return [(x, statistics.median(rounds.values())) for x, case, metric in wanted
            if (rounds := rounds_of(chosen, clock, machine, case, metric))]


def plot_age(chosen):
    cases = [(int(case.split("-")[0]), case) for clock, case in chosen if clock == "age" and case.endswith("-s")]
    wanted = [(0, c, "pool_full+meta_full") for _, c in cases[:1]]
    wanted += [(s, c, "pool_idle+meta_idle") for s, c in sorted(cases)]
    machines = ordered({m for _, c in cases for m in machines_of(chosen, "age", c)})
    series = [(m, colour(m), points) for m in machines if (points := median_points(chosen, "age", m, wanted))]
    return series and ['set xlabel "seconds since the pages were swapped out"', 'set yrange [0:*]',
                       'set ylabel "bytes of memory for a page, with all metadata"', *curves(series)]


def plot_frees(chosen):
    case = "mixed"
    machines = machines_of(chosen, "native", case)
    found = sorted(map(int, matching(chosen, "native", case, r"left_(\d+)ms")))
    # When all is stored, before a random half is freed
    series = [(m, colour(m), [(-50, 1), *points]) for m in machines
              if (points := median_points(chosen, "native", m, [(ms, case, f"left_{ms}ms") for ms in found]))]
    return series and ['set xlabel "ms since half of the objects were freed"', 'set xrange [-50:*]',
                       'set yrange [0:1.05]', 'set ylabel "pages held, of those before"', *curves(series)]


def plot_latency(chosen):
    """Percentiles, on a scale that shows the last thousandth"""
    lines = []
    for kind in ("hot", "cold"):
        found = matching(chosen, "age", "latency", kind + r"_p(\d+)")
        part = {p: int(p) / 10 ** len(p) for p in found}
        series = []
        for m in machines_of(chosen, "age", "latency"):
            points = [(p[0][1], -math.log10(1 - part[name])) for name in sorted(found, key=part.get)
                      if (p := median_points(chosen, "age", m, [(0, "latency", f"{kind}_p{name}")]))]
            series += [(m, colour(m), points)] if points else []
        if series:
            lines += [f'set title "{kind} pages"', *curves(series, kind)]
    ticks = ", ".join(f'"{100 * p:.4g} %%" {-math.log10(1 - p):.4g}' for p in (0, .5, .75, .9, .99, .999))
    return lines and ["set multiplot layout 2,1", "set logscale x", 'set format x "%.0s%c"',
                      'set xlabel "instructions of a fault"', 'set ylabel "faults within"', f"set ytics ({ticks})",
                      "set yrange [0:3.1]", *lines, "unset multiplot"]


PLOTS = [
    ("capacity", "Data written before the out-of-memory killer came", plot_capacity, 420),
    ("frees", "Memory held after a burst of frees", plot_frees, 380),
    ("age", "Memory that a page takes while nobody uses it", plot_age, 420),
    ("latency", "", plot_latency, 640),
    ("writes", "Disk writes, by case of scripts/bench/aging.c", plot_writes, 420),
]


def main(directory, out=None, aims=HERE / "targets", *kept):
    out = pathlib.Path(out or directory)
    chosen = newest(directory, *kept)
    targets = read_targets(aims, chosen)
    head = ["# What was measured", ""]
    if chosen:
        last = max(chosen.values(), key=lambda r: r.name)
        head += ["`make bench` and `scripts/report.sh` make this. Of each case, the newest run counts. The newest of all is"
                 f" of {last.date()}, by `{last.command()}`. Machines are emulated, or User-mode Linux: only ratios of times mean anything."]
    not_run = [kind for kind in KINDS if kind not in {kind_of(c) for c, _ in chosen}]
    head += ["", f"Not run: {', '.join(not_run) or 'none'}.", ""]
    summary = head + targets_text(targets)

    plots = out / "report"
    plots.mkdir(parents=True, exist_ok=True)
    for old in [*plots.glob("*.gp"), *plots.glob("*.svg")]:
        old.unlink()
    shown = ["## Plots", ""]
    for name, title, plot, height in PLOTS:
        lines = plot(chosen)
        if lines:
            text = HEAD.format(name=name, title=title, height=height) + "\n".join(lines) + "\n"
            (plots / f"{name}.gp").write_text(text, encoding="utf-8")
        shown += [f"![{name}](report/{name}.svg)" if lines else f"{name}: not run.", ""]
    runs = runs_text(chosen)
    used = {run.path for run in chosen.values()}
    (out / "used").write_text("".join(f"{p}\n" for p in sorted(used)), encoding="utf-8")
    (out / "summary.md").write_text("\n".join(summary + runs), encoding="utf-8")
    (out / "summary.tsv").write_text(summary_tsv(targets), encoding="utf-8")
    (out / "report.md").write_text("\n".join(summary + tables_text(chosen) + shown + runs), encoding="utf-8")


def check_marks(summary, paths):
    """Return: what is wrong, a line each"""
    known, wrong = {}, []
    if pathlib.Path(summary).exists():
        for line in pathlib.Path(summary).read_text(encoding="utf-8").splitlines():
            key, median, *_ = line.split("\t")
            known[key] = median
    for path in paths:
        text = pathlib.Path(path).read_text(encoding="utf-8")
        for mark in MARK.finditer(text):
            key = next(filter(None, mark.groups()))
            before = NUMBER.findall(text, 0, mark.start())
            number, value = before[-1] if before else "no number", known.get(key, "-")
            decimals = len(number.partition(".")[2])
            if value == "-":
                problem = "the summary has no number for it"
            elif not before or f"{float(value):.{decimals}f}" != number:
                problem = f"the summary has {value}"
            else:
                continue
            wrong.append(f"{path}:{text.count(chr(10), 0, mark.start()) + 1}: {number} ({key}): {problem}")
    return wrong


if __name__ == "__main__":
    if sys.argv[1] == "--marks":
        problems = check_marks(sys.argv[2], sys.argv[3:])
        print("".join(line + "\n" for line in problems), end="")
        sys.exit(1 if problems else 0)
    main(*sys.argv[1:])
