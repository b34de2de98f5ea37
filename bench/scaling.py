"""How time and memory grow with the work: pictures, length of a feature, classes, and features larger than memory.

Command   just bench scaling             (builds the programs first), or python3 bench/scaling.py
Options   --rounds N (default 3), --quick (2 rounds of less work), --results FILE
Needs     cifar10/ and models/resnet20_cifar10.onnx in data/local, $HEADSTART_DATA or ../shared/data; the peers' Python
          (bench/README.md); 1 GB of disk in target/bench/scaling, which is given back at the end.
Output    a table for each of five sweeps; bench/results.json after a complete run.
Expected  Times on a straight line a + b·n: R² near 1, no point far off it. Peaks of data-prep and feature-extract that
          do not grow.
Duration  about 12 minutes on two quiet cores.
Seed      1337 (weights of the projections); the programs' default 0 for the rest.

Whole processes of ours, two threads. In a round each size is run once. The line is fitted to the medians by least
squares of the relative error, so that small sizes count as much as large ones; R² is one minus the share of the
variance that the line leaves. The sweeps of head-train take 10,000 rows and one setting, 10 epochs, batch 256.
"""

import functools
import json
import statistics

import harness
from harness import Contender
from head import make_features

TRAIN, TEST = harness.data("cifar10/train.parquet"), harness.data("cifar10/test.parquet")
NETWORK = harness.data("models/resnet20_cifar10.onnx")
PICTURES, QUICK_PICTURES = [1_000, 4_000, 16_000, 60_000], [200, 400, 800]
DIMS, CLASSES = [128, 512, 2048, 4096], [10, 100, 1000]
QUICK_DIMS, QUICK_CLASSES = [64, 128], [10, 20]
ONE_SETTING = "--epochs 10 --lr 0.03 --weight-decay 0 --no-classifier --threads 2 --overwrite".split()
MOST_GROWTH = 1.1  # of the peak from the last size but one, with parts for all places, that is called flat
MOST_SLOWER = 1.5  # with --memory-limit
LIMIT_MB = 64


def line(sizes, values):
    """a and b of a + b·n with the least squares of the relative error, R², and the largest relative error."""
    weights = [1 / value**2 for value in values]
    total = sum(weights)
    x = sum(w * n for w, n in zip(weights, sizes)) / total
    y = sum(w * v for w, v in zip(weights, values)) / total
    spread = sum(w * (n - x) ** 2 for w, n in zip(weights, sizes))
    b = sum(w * (n - x) * (v - y) for w, n, v in zip(weights, sizes, values)) / spread
    a = y - b * x
    fitted = [a + b * n for n in sizes]
    mean = statistics.mean(values)
    r2 = 1 - sum((v - f) ** 2 for v, f in zip(values, fitted)) / sum((v - mean) ** 2 for v in values)
    worst = max(abs(f / v - 1) for v, f in zip(values, fitted))
    return {"a": a, "b": b, "r2": r2, "worst": worst}


def sweep(bench, title, unit, runs):
    """Runs each size in turn and prints what comes of it; `runs` are by size. Those of programs give a Ran."""

    def contender(size, run):
        def figures():
            ran = run()
            return {"seconds": ran.seconds, "peak_mb": ran.peak_mb, "cpu_s": ran.cpu_s}

        return Contender(f"{size:,}", figures)

    contenders = {size: contender(size, run) for size, run in runs.items()}
    rounds = harness.Rounds(contenders, bench.n_rounds, title)
    sizes = list(runs)
    medians = {size: {name: rounds.median(size, name) for name in ("seconds", "cpu_s", "peak_mb")} for size in sizes}
    fit = line(sizes, [medians[size]["seconds"] for size in sizes])
    print(f"\n{title}")
    rows = []
    for size, it in medians.items():
        off = (fit["a"] + fit["b"] * size) / it["seconds"] - 1
        rows.append(
            [
                f"{size:,}",
                *(f"{it[name]:.2f}" for name in ("seconds", "cpu_s")),
                f"{it['peak_mb']:.0f}",
                f"{100 * off:+.0f} %",
            ]
        )
    harness.results.print_table([unit, "seconds", "CPU s", "peak MB", "line is off by"], rows)
    print(f"seconds = {fit['a']:.3f} + {1e6 * fit['b']:.2f} · 10⁻⁶ · n, R² = {fit['r2']:.4f}")
    rounds.tell_others()
    growth = {str(size): medians[sizes[-1]]["peak_mb"] / medians[size]["peak_mb"] for size in sizes[:-1]}
    return {
        "medians": {str(size): it for size, it in medians.items()},
        "fit": fit,
        "peak_growth": growth,
        **rounds.record(),
    }


def pictures(bench):
    sizes = bench.size(PICTURES, QUICK_PICTURES)
    folders = {n: bench.work / f"examples-{n}" for n in sizes}

    def prepare(n):
        # Five of six rows are training rows, as in the whole.
        take = ["--take", f"train={n - n // 6},test={n // 6}", "--threads", "2", "--overwrite"]
        return bench.run("data-prep", "--input", TRAIN, "--input", TEST, *take, "--out", folders[n])

    def extract(n):
        scaled = ["--mean", "0.485,0.456,0.406", "--std", "0.229,0.224,0.225", "--device", "cpu", "--threads", "2"]
        where = ["--examples", folders[n], "--out", bench.work / "features", "--overwrite"]
        return bench.run("feature-extract", "--backbone", NETWORK, *scaled, *where)

    told = {}
    for name, title, run in (
        ("prep", "data-prep, CIFAR-10 from Parquet", prepare),
        ("extract", "feature-extract, ResNet-20", extract),
    ):
        told[name] = sweep(bench, title, "pictures", {n: functools.partial(run, n) for n in sizes})
        growth = told[name]["peak_growth"]
        aim = harness.verdict_at_most(growth[str(sizes[-2])], MOST_GROWTH)
        others = ", ".join(f"× {growth[str(size)]:.2f} from {size:,}" for size in sizes[:-2])
        print(f"peak memory to {sizes[-1]:,} pictures: × {growth[str(sizes[-2])]:.2f} from {sizes[-2]:,} ({aim}); {others}")
    return told


def train(bench, features, *options, sampled=False):
    where = ["--features", features, "--out", bench.work / "head"]
    return bench.run("head-train", *where, *ONE_SETTING, *options, sampled=sampled)


def head(bench):
    n = bench.size(10_000, 1_000)
    by_dim = {dim: make_features(bench, n, dim) for dim in bench.size(DIMS, QUICK_DIMS)}
    runs = {dim: functools.partial(train, bench, features) for dim, features in by_dim.items()}
    told = {"feature_dim": sweep(bench, f"head-train, {n:,} rows, 10 classes", "feature_dim", runs)}
    runs, dim = {}, bench.size(512, 64)
    for n_classes in bench.size(CLASSES, QUICK_CLASSES):
        table = bench.work / f"classes-{n_classes}.parquet"
        # Labels are made up, row modulo classes: time does not depend on whether they can be learnt.
        bench.make("relabelled", parquet=TRAIN, out=table, n=n, n_classes=n_classes)
        features = make_features(bench, n, dim, table=table, name=f"classes-{n_classes}")
        runs[n_classes] = functools.partial(train, bench, features)
    told["classes"] = sweep(bench, f"head-train, {n:,} rows of {dim} numbers", "classes", runs)
    return told


def larger_than_memory(bench):
    """head-train with features that are not kept in memory, beside the same with them in memory."""
    if not bench.knows("head-train", "--memory-limit"):
        harness.say("head-train knows no --memory-limit: that part is left out, and the run is no complete one")
        bench.is_complete = False
        return None
    n, dim = bench.size(50_000, 20_000), 1024
    features = make_features(bench, n, dim, name="large")

    def run(*options):
        ran = train(bench, features, *options, sampled=True)
        loss = json.loads((bench.work / "head" / "metrics.json").read_text())["train"]["loss"]
        return {"seconds": ran.seconds, "peak_mb": ran.peak_mb, "private_mb": ran.private_mb, "loss": loss}

    contenders = {
        "limited": Contender(f"--memory-limit {LIMIT_MB}MB", lambda: run("--memory-limit", f"{LIMIT_MB}MB")),
        "all": Contender("all in memory", run),
    }
    rounds = harness.Rounds(contenders, bench.n_rounds, "memory limit")
    print(f"\nhead-train, {n:,} × {dim} features ({n * dim * 4 / 1e6:.0f} MB), 10 epochs")
    others = [("peak_mb", "peak MB", 0), ("private_mb", "private", 0), ("loss", "train loss", 4)]
    told = rounds.table(
        "seconds", "seconds", "limited", more_is_better=False, digits=2, others=others, title_ratio="its/limited"
    )
    slower = rounds.ratio("limited", "all", "seconds")
    print(f"with the limit it takes × {slower:.2f} ({harness.verdict_at_most(slower, MOST_SLOWER)})")
    return {"times_slower": slower, "aim_at_most": MOST_SLOWER, "reached": slower <= MOST_SLOWER, **told}


def main():
    programs = ["data-prep", "feature-extract", "head-train"]
    bench = harness.Benchmark("scaling", __doc__, programs=programs, files=[TRAIN, TEST, NETWORK], rounds=3)
    with bench:
        figures = {"pictures": pictures(bench), "head": head(bench), "memory_limit": larger_than_memory(bench)}
        bench.finish(**figures)


if __name__ == "__main__":
    main()
