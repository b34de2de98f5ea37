"""`feature-extract --precision int8` beside float32: pictures per second, and what becomes of the head's accuracy.

Command   just bench int8                (builds the programs first), or python3 bench/int8.py
Options   --rounds N (default 5), --quick (2 rounds of fewer pictures), --results FILE
Needs     the peers' home (bench/README.md) with models/resnet18_logits.onnx; cifar10/ and
          models/mobilenetv2_imagenet.onnx and resnet56_cifar10.onnx in data/local, $HEADSTART_DATA or ../shared/data. A
          processor with VNNI.
Output    two tables; bench/results.json after a complete run.
Expected  2.6 times as many pictures a second as float32 on an AMD EPYC with AVX-512 VNNI, of 20,000 pictures, 2.1 times
          of 1,000, and accuracies within 0.5 points of each other. Pictures of CIFAR-10 are JPEGs here, so published
          accuracies do not apply.
Duration  about 15 minutes with 3 rounds, 22 with 5, on two quiet cores.
Seed      the programs' default, 0, and 0 to 4 for heads; weights of ResNet-18 are seeded random ones, as speed does not depend on them.

Speed: ResNet-18 at 224, whole processes in turn, with loading, quantising and writing, of few pictures, where the start
counts, and of many; float32 of few also with --convolution runtime, which is what it was when the aim was set. Accuracy: two really trained
networks, each once in both precisions, then `head-train` with its defaults and five seeds, of which the mean is told. With
10,000 test rows a head's accuracy has a standard error of 0.5 points at 70 % right; but all are judged on the same rows.
"""

import json
import statistics

import harness
from harness import Contender

LOGITS = harness.model("resnet18_logits.onnx")
TRAIN, TEST = harness.data("cifar10/train.parquet"), harness.data("cifar10/test.parquet")
AIM, MOST_POINTS = 2.5, 0.5
# In full and with --quick.
FEW, MANY = (1000, 64), (20_000, 128)
# What float32 was when the aim was set.
RUNTIME = "float32, the runtime's convolutions"
# Of heads: the order of rows alone moves accuracy by half a point.
SEEDS = range(5)
# Of each network: preprocessing, and training and test rows, in full and with --quick.
NETWORKS = {
    "MobileNetV2 at 224": {
        "file": harness.data("models/mobilenetv2_imagenet.onnx"),
        "scaled": ["--mean", "0.5", "--std", "0.5", "--size", "224"],
        "rows": [(5000, 10000), (100, 50)],
    },
    "ResNet-56 at 32": {
        "file": harness.data("models/resnet56_cifar10.onnx"),
        "scaled": ["--mean", "0.485,0.456,0.406", "--std", "0.229,0.224,0.225"],
        "rows": [(10_000, 10_000), (200, 100)],
    },
}


def precisions(bench):
    """What is given, by the name of the contender."""
    if bench.knows("feature-extract", "--precision"):
        runtime = {RUNTIME: ["--convolution", "runtime"]} if bench.knows("feature-extract", "--convolution") else {}
        return {"float32": ["--precision", "float32"], **runtime, "int8": ["--precision", "int8"]}
    harness.say("feature-extract knows no --precision: float32 takes part twice, to see that all works")
    bench.is_complete = False
    return {"float32": [], "int8": []}


def speed(bench, options, n):
    examples = bench.work / f"examples-{n}"
    bench.run("data-prep", "--input", f"train={TRAIN}", "--take", f"train={n}", "--out", examples)

    def extract(precision):
        where = ["--examples", examples, "--out", bench.work / "features", "--device", "cpu"]
        how = ["--mean", "0.5", "--std", "0.5", "--threads", "2", "--overwrite", *options[precision]]
        ran = bench.run("feature-extract", "--backbone", LOGITS, *how, *where)
        return {"rate": n / ran.seconds, "reported": ran.said["rows_per_second"], "peak_mb": ran.peak_mb}

    contenders = {it: Contender(f"ResNet-18 at 224, {it}", lambda it=it: extract(it)) for it in options}
    for it in contenders.values():
        it.run()
    rounds = harness.Rounds(contenders, bench.n_rounds, f"int8, {n:,} pictures")
    print(f"\n{n:,} pictures, two threads, whole processes")
    others = [("reported", "reported", 1), ("peak_mb", "peak MB", 0)]
    told = rounds.table("rate", "images/s", "int8", aims={"float32": AIM}, others=others, title_ratio="int8/its")
    steady = {it: rounds.ratio("int8", it, "reported") for it in options if it != "int8"}
    starts = {
        it: statistics.median(n / one["rate"] - n / one["reported"] for one in rounds.figures[it].values())
        for it in options
    }
    for it, ratio in steady.items():
        print(
            f"without what comes before the first picture (loading, quantising: {starts[it]:.1f} s in {it}, "
            f"{starts['int8']:.1f} s in int8): × {ratio:.2f}"
        )
    return {"pictures": n, "reported_ratio": steady, "start_s": starts, **told}


def accuracy(bench, options):
    rows, figures = [], {}
    for title, about in NETWORKS.items():
        n_train, n_test = about["rows"][bench.arguments.quick]
        harness.say(f"int8: accuracy on {title}")
        run = bench.work / about["file"].stem
        take = ["--take", f"train={n_train},test={n_test}"]
        bench.run("data-prep", "--input", TRAIN, "--input", TEST, *take, "--run", run)
        it = {"train_rows": n_train, "test_rows": n_test}
        for precision in ("float32", "int8"):
            features, head = run / f"features-{precision}", run / f"head-{precision}"
            where = ["--examples", run / "examples", "--out", features, "--device", "cpu", "--threads", "2"]
            ran = bench.run("feature-extract", "--backbone", about["file"], *about["scaled"], *options[precision], *where)
            scores = []
            for seed in SEEDS:
                how = ["--seed", str(seed), "--threads", "2", "--no-classifier", "--overwrite"]
                bench.run("head-train", "--features", features, "--out", head, *how)
                scores.append(100 * json.loads((head / "metrics.json").read_text())["test"]["accuracy"])
            it[precision] = {"test_accuracy": statistics.mean(scores), "by_seed": scores, "extract_s": ran.seconds}
        points = it["int8"]["test_accuracy"] - it["float32"]["test_accuracy"]
        it |= {"points": points, "aim": MOST_POINTS, "reached": abs(points) <= MOST_POINTS}
        figures[title] = it
        cells = [f"{it[precision]['test_accuracy']:.2f} %" for precision in ("float32", "int8")]
        seconds = " / ".join(f"{it[precision]['extract_s']:.0f}" for precision in ("float32", "int8"))
        aim = harness.verdict_at_most(abs(points), MOST_POINTS)
        rows.append([title, f"{n_train:,} / {n_test:,}", *cells, f"{points:+.2f}", aim, seconds])
    print(f"\naccuracy of the head on test rows, mean over seeds {SEEDS[0]} to {SEEDS[-1]}")
    heading = ["", "train / test rows", "float32", "int8", "points", "aim, either way", "extract s, float32 / int8"]
    harness.results.print_table(heading, rows)
    return figures


def main():
    bench = harness.Benchmark(
        "int8",
        __doc__,
        programs=["data-prep", "feature-extract", "head-train"],
        files=[LOGITS, TRAIN, TEST, *(about["file"] for about in NETWORKS.values())],
    )
    with bench:
        options = precisions(bench)
        of_few = speed(bench, options, bench.size(*FEW))
        of_many = speed(bench, {it: how for it, how in options.items() if it != RUNTIME}, bench.size(*MANY))
        bench.finish(speed=of_many, speed_of_few=of_few, accuracy=accuracy(bench, options))


if __name__ == "__main__":
    main()
