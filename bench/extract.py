"""Pictures per second of `feature-extract` on ResNet-18, from artifact to artifact, beside the bare network.

Command   just bench extract             (builds the programs first), or python3 bench/extract.py
Options   --rounds N (default 5), --pictures N (default 1500), --quick (2 rounds of 96 pictures), --results FILE
Needs     the peers' home (bench/README.md) with models/resnet18.onnx, resnet18_logits.onnx and resnet18_state.pt;
          cifar10/train.parquet in data/local, $HEADSTART_DATA or ../shared/data.
Output    a table; bench/results.json after a complete run.
Expected  50 to 61 pictures a second on two cores of an AMD EPYC; ours 0.97 of the bare session or better.
Duration  about 9 minutes on two quiet cores.
Seed      the programs' default, 0; weights are seeded random ones, as speed does not depend on them.

Ours is a process started anew for every run: it reads 32 × 32 pictures from Parquet, enlarges them to 224, runs the
network and writes features, and all of that is timed, with loading and writing. The peers are loaded and warm, have
their tensors ready in memory (those of 64 pictures, again and again) and write nothing. Each has the best of three
batch sizes, chosen before the first round.
"""

from statistics import median

import harness
from harness import Contender

N_READY = 64
BATCHES = [1, 8, 32]
AIMS = {"OnnxRuntime": 0.97, "TorchChannelsLast": 1.25}
# Of ResNet-18 on one picture of 224 × 224: multiply-adds of its convolutions and of no last layer.
GMAC = 1.814
LOGITS, STATE = harness.model("resnet18_logits.onnx"), harness.model("resnet18_state.pt")
FEATURES = harness.model("resnet18.onnx")
TRAIN = harness.data("cifar10/train.parquet")
PREPROCESSING = ["--mean", "0.5", "--std", "0.5"]


def main():
    bench = harness.Benchmark(
        "extract",
        __doc__,
        programs=["data-prep", "feature-extract"],
        files=[LOGITS, FEATURES, STATE, TRAIN],
        options=[
            ("--pictures", {"type": int, "default": 1500, "metavar": "N", "help": "pictures of a run [default: 1500]"})
        ],
    )
    with bench:
        n = bench.size(bench.arguments.pictures, 96)
        examples, features = bench.work / "examples", bench.work / "features"
        bench.run("data-prep", "--input", f"train={TRAIN}", "--take", f"train={n}", "--out", examples)

        def extract():
            where = ["--examples", examples, "--out", features, "--device", "cpu", "--threads", "2", "--overwrite"]
            ran = bench.run("feature-extract", "--backbone", LOGITS, *PREPROCESSING, *where)
            return {"rate": n / ran.seconds, "reported": ran.said["rows_per_second"], "per_cpu_s": n / ran.cpu_s}

        extract()
        contenders = {"headstart": Contender("feature-extract, whole process", extract)}
        titles = {
            "OnnxRuntime": "bare onnxruntime session",
            "TorchChannelsLast": "torch, channels-last, inference mode",
        }
        batches, differences = {}, {}
        for name, network in (("OnnxRuntime", FEATURES), ("TorchChannelsLast", STATE)):
            process = bench.start("picture_peers.py", name, network=network, examples=examples, n_ready=N_READY)
            batches[name] = process.ask("choose", batches=BATCHES)
            differences[name] = process.ask("difference", features=features)
            title = f"{titles[name]}, batch {batches[name]['batch']}"
            contenders[name] = Contender(title, lambda process=process: process.ask("run", n=n), process.process)
        arithmetic = bench.start("picture_peers.py", "Arithmetic")
        limits = []
        rounds = harness.Rounds(contenders, bench.n_rounds, "extract", lambda: limits.append(arithmetic.ask("run")))

        print(f"\nResNet-18 at 224 from 32 × 32, float32, {n} pictures, two threads")
        others = [("reported", "reported", 1)]
        told = rounds.table("rate", "images/s", "headstart", aims=AIMS, digits=2, others=others)
        for name, chosen in batches.items():
            tried = ", ".join(f"batch {batch}: {rate:.1f}" for batch, rate in chosen["rates"].items())
            print(f"{titles[name]}, tried first: {tried} images/s")
        limit = {}
        for which in ("sgemm_gflops", "convolution_gflops"):
            rates = [limits[number][which] / 2 / GMAC for number in rounds.counted]
            shares = [ours / rate for ours, rate in zip(rounds.values("headstart", "rate"), rates)]
            limit[which] = {"images_per_s": median(rates), "our_share": median(shares)}
            it, what = limit[which], which.split("_")[0]
            print(
                f"limit, {GMAC} GMAC a picture at the {2 * GMAC * it['images_per_s']:.0f} GFLOP/s of torch's {what}: "
                f"{it['images_per_s']:.1f} images/s, of which headstart has {100 * it['our_share']:.0f} %"
            )
        for name, difference in differences.items():
            apart = f"by at most {difference:.0e} of the largest"
            print(f"features of {N_READY} pictures differ from those of {titles[name]} {apart}")
        bench.finish(pictures=n, batches=batches, limit=limit, limits_by_round=limits, differences=differences, **told)


if __name__ == "__main__":
    main()
