"""A grid of 13 learning rates × 4 weight decays in one run of `head-train`, beside 52 runs with one setting each.

Command   just bench grid                (builds the programs first), or python3 bench/grid.py
Options   --rounds N (default 5), --quick (2 rounds of 3 × 2 settings on 4,000 rows), --results FILE
Needs     the peers' Python (bench/README.md), which makes a network; cifar10/train.parquet in data/local,
          $HEADSTART_DATA or ../shared/data.
Output    a table; bench/results.json after a complete run.
Expected  One run at least 6 times as fast as the 52, and both choose the same setting with the same validation loss.
Duration  about 10 minutes on two quiet cores.
Seed      1337 (weights of the projection that makes features of pixels); the programs' default 0 for the rest.

Both are whole processes of ours, from reading 50,000 × 512 features to the written head, 20 epochs of batch 256 as they
are by default, without classifier.onnx. 5,000 of the rows are held out to choose by.
"""

import json

import harness
from harness import Contender
from head import DIM, TRAIN, make_features

RATES = ["0.001", "0.002", "0.003", "0.005", "0.01", "0.02", "0.03", "0.05", "0.1", "0.2", "0.3", "0.5", "1"]
DECAYS = ["0", "0.001", "0.01", "0.1"]
AIM = 6


def main():
    bench = harness.Benchmark("grid", __doc__, programs=["data-prep", "feature-extract", "head-train"], files=[TRAIN])
    with bench:
        n, rates, decays = bench.size(50_000, 4_000), bench.size(RATES, RATES[8:11]), bench.size(DECAYS, DECAYS[:2])
        features = make_features(bench, n)
        n_settings = len(rates) * len(decays)

        def train(rates, decays):
            """One run: what it took, and the validation loss of each of its settings."""
            out = bench.work / "head"
            settings = ["--lr", ",".join(rates), "--weight-decay", ",".join(decays), "--threads", "2"]
            ran = bench.run(
                "head-train", "--features", features, "--out", out, *settings, "--no-classifier", "--overwrite"
            )
            metrics = json.loads((out / "metrics.json").read_text())
            scores = {(it["lr"], it["weight_decay"]): it["validation_loss"] for it in metrics["grid"]}
            return ran, metrics["durations"]["train_s"], scores

        scores = {}

        def in_one():
            ran, train_s, scores["together"] = train(rates, decays)
            return {"seconds": ran.seconds, "train_s": train_s, "cpu_s": ran.cpu_s, "peak_mb": ran.peak_mb}

        def one_by_one():
            told = {"seconds": 0, "train_s": 0, "cpu_s": 0, "peak_mb": 0}
            scores["apart"] = {}
            for rate in rates:
                for decay in decays:
                    ran, train_s, score = train([rate], [decay])
                    scores["apart"].update(score)
                    told["seconds"] += ran.seconds
                    told["train_s"] += train_s
                    told["cpu_s"] += ran.cpu_s
                    told["peak_mb"] = max(told["peak_mb"], ran.peak_mb)
            return told

        in_one()
        contenders = {
            "together": Contender(f"{len(rates)} × {len(decays)} settings in one run", in_one),
            "apart": Contender(f"{n_settings} runs, one after the other", one_by_one),
        }
        rounds = harness.Rounds(contenders, bench.n_rounds, "grid")
        print(f"\n{n:,} × {DIM} features, 10 classes, 20 epochs, batch 256, two threads, whole processes")
        others = [("train_s", "training s", 2), ("cpu_s", "CPU s", 2), ("peak_mb", "peak MB", 0)]
        told = rounds.table(
            "seconds", "seconds", "together", more_is_better=False, aims={"apart": AIM}, digits=2, others=others
        )
        best = {key: min(losses, key=lambda it: losses[it]) for key, losses in scores.items()}
        apart = max(abs(loss - scores["apart"][setting]) for setting, loss in scores["together"].items())
        same = "the same setting" if best["together"] == best["apart"] else f"NOT the same setting ({best})"
        print(f"both choose {same}; validation losses of all {n_settings} settings are apart by at most {apart:.1e}")
        bench.finish(
            rows=n, settings=n_settings, chosen={k: list(v) for k, v in best.items()}, losses_apart=apart, **told
        )


if __name__ == "__main__":
    main()
