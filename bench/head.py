"""Seconds in which `head-train` trains 10 epochs on 50,000 × 512 features, beside torch, numpy and scikit-learn.

Command   just bench head                (builds the programs first), or python3 bench/head.py
Options   --rounds N (default 5), --quick (2 rounds on 4,000 rows), --results FILE
Needs     the peers' home (bench/README.md); cifar10/train.parquet in data/local, $HEADSTART_DATA or ../shared/data. A C
          compiler.
Output    a table for batch 32 and one for batch 256; bench/results.json after a complete run.
Expected  Others, on two cores of an AMD EPYC: torch by index 6.1 and 1.3 s, numpy 0.75 and 0.90 s. Loss and accuracy of
          torch, numpy and ours agree but for the order of the rows.
Duration  about 4 minutes on two quiet cores.
Seed      1337 (weights of the projection that makes features of pixels); 0 for the order of rows, each in its own way.

All train on the same features. What is compared is the training alone, which all measure themselves: without reading,
and ours without the scores that it takes afterwards. The wall time of our whole process, with reading, scores and
report, stands beside it. Ours is started anew for every run, and the peers have run before.
"""

import functools
import json
from statistics import median

import harness
import machine
import peer
from harness import Contender

TRAIN = harness.data("cifar10/train.parquet")
DIM, N_CLASSES, EPOCHS, LR = 512, 10, 10, 0.001
SETTINGS = (
    f"--epochs {EPOCHS} --raw-lr {LR} --weight-decay 0 --momentum 0.9 --schedule constant --no-standardise".split()
)
ALONE = "--validation 0 --no-classifier --threads 2 --overwrite".split()
AIMS = {32: {"TorchIndex": 12, "Numpy": 2}, 256: {"TorchIndex": 3, "Numpy": 2.5}}
TITLES = {
    "TorchIndex": "torch, batches by index",
    "Numpy": "numpy, plain loop",
    "TorchLoader": "torch, DataLoader",
    "SklearnSgd": "scikit-learn SGDClassifier",
    "SklearnLbfgs": "scikit-learn LogisticRegression",
}
ONCE = ["TorchLoader", "SklearnSgd", "SklearnLbfgs"]
SAME = ["headstart", "TorchIndex", "Numpy", "TorchLoader"]  # those that do the same arithmetic but for the order
MOST_APART = {"loss": 0.02, "accuracy": 1.5}  # of a loss in nats, and in points


def make_features(bench, n, dim=DIM, table=TRAIN, name=None):
    """A features artifact of `n` rows and `dim` numbers each: a random projection of pixels."""
    folder = bench.work / (name or f"dim-{dim}")
    network, examples, features = folder / "projection.onnx", folder / "examples", folder / "features"
    folder.mkdir()
    bench.make("projection", out=network, feature_dim=dim)
    bench.run("data-prep", "--input", f"train={table}", "--take", f"train={n}", "--out", examples)
    scaled = ["--mean", "0.485,0.456,0.406", "--std", "0.229,0.224,0.225", "--device", "cpu"]
    bench.run("feature-extract", "--backbone", network, *scaled, "--examples", examples, "--out", features)
    return features


def measure(bench, features, started, batch, floors):
    head = bench.work / "head"

    def train():
        ran = bench.run("head-train", "--features", features, "--out", head, "--batch", str(batch), *SETTINGS, *ALONE)
        metrics = json.loads((head / "metrics.json").read_text())
        told = {"loss": metrics["train"]["loss"], "accuracy": 100 * metrics["train"]["accuracy"]}
        return {"seconds": metrics["durations"]["train_s"], "process_s": ran.seconds, "peak_mb": ran.peak_mb, **told}

    train()
    contenders = {"headstart": Contender("head-train", train)}
    for name, process in started.items():
        run = functools.partial(process.ask, "run", epochs=EPOCHS, batch=batch, lr=LR)
        contenders[name] = Contender(TITLES[name], run, process.process, once=name in ONCE)
    limits = []
    rounds = harness.Rounds(contenders, bench.n_rounds, f"batch {batch}", lambda: limits.append(floors()))
    print(f"\nbatch {batch}: {EPOCHS} epochs, float32, two threads, raw learning rate {LR}, momentum 0.9")
    others = [("process_s", "process s", 2), ("loss", "train loss", 4), ("accuracy", "train %", 2)]
    told = rounds.table(
        "seconds", "training s", "headstart", more_is_better=False, aims=AIMS[batch], digits=3, others=others
    )
    apart = {what: spread([rounds.median(key, what) for key in SAME]) for what in MOST_APART}
    agree = all(apart[what] <= most for what, most in MOST_APART.items())
    print(
        f"torch, numpy and headstart are apart by {apart['loss']:.4f} in loss and {apart['accuracy']:.2f} points in "
        f"accuracy: {'they agree' if agree else 'they do NOT agree'}"
    )
    floor = {}
    for which in ("multiply-adds", "memory"):
        seconds = [limits[number][which] for number in rounds.counted]
        shares = [limit / ours for limit, ours in zip(seconds, rounds.values("headstart", "seconds"))]
        floor[which] = {"seconds": median(seconds), "our_share": median(shares)}
        share = f"{100 * median(shares):.0f} %"
        print(f"floor by {which}: {1000 * median(seconds):.0f} ms, of which headstart reaches {share}")
    return {"apart": apart, "agree": agree, "floors": floor, "floors_by_round": limits, **told}


def spread(values):
    return max(values) - min(values)


def main():
    bench = harness.Benchmark("head", __doc__, programs=["data-prep", "feature-extract", "head-train"], files=[TRAIN])
    with bench:
        n = bench.size(50_000, 4_000)
        features = make_features(bench, n)
        started = {name: bench.start("head_peers.py", name, features=features) for name in TITLES}
        for name, process in started.items():
            if name not in ONCE:
                process.ask("run", epochs=1, batch=256, lr=LR)
        arithmetic = bench.start("picture_peers.py", "Arithmetic")
        bandwidth = machine.Bandwidth(bench.work, peer.N_THREADS)

        def floors():
            """Seconds that multiply-adds and memory take at least, at the rates measured now."""
            # Forward and backward, a multiply-add is two; a row is read once an epoch for both, out of the cache.
            flop = 2 * 2 * n * DIM * N_CLASSES * EPOCHS
            read = 4 * n * DIM * EPOCHS
            sgemm = arithmetic.ask("run")["sgemm_gflops"]
            best = max(bandwidth.measure())
            return {"multiply-adds": flop / sgemm / 1e9, "memory": read / best / 1e9, "sgemm": sgemm, "GB_per_s": best}

        print(f"\n{n:,} × {DIM} features, {N_CLASSES} classes")
        figures = {str(batch): measure(bench, features, started, batch, floors) for batch in AIMS}
        bench.finish(rows=n, feature_dim=DIM, batches=figures)


if __name__ == "__main__":
    main()
