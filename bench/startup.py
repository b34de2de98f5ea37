"""Milliseconds that a program takes to find that everything is done.

Command   just bench startup             (builds the programs first), or python3 bench/startup.py
Options   --rounds N (default 5, of 10 starts each), --quick (2 rounds of 3 starts, 500 pictures), --results FILE
Needs     cifar10/train.parquet and models/resnet20_cifar10.onnx in data/local, $HEADSTART_DATA or ../shared/data; the
          peers' Python (bench/README.md).
Output    a table; bench/results.json after a complete run.
Expected  feature-extract under 50 ms; and far more with --rehash, which reads and hashes all there is.
Duration  about 1 minute on two quiet cores, most of it to make the artifacts.
Seed      the programs' default, 0.

10,000 pictures of CIFAR-10 and their features by ResNet-20, made once. What is timed are whole processes from start to
exit, everything in the page cache. `--version` is what a process costs that does nothing.
"""

import statistics

import harness
from harness import Contender

TRAIN, NETWORK = harness.data("cifar10/train.parquet"), harness.data("models/resnet20_cifar10.onnx")
AIM_MS = 50  # for the median start of feature-extract


def main():
    programs = ["data-prep", "feature-extract", "head-train"]
    bench = harness.Benchmark("startup", __doc__, programs=programs, files=[TRAIN, NETWORK])
    with bench:
        n, n_starts = bench.size(10_000, 500), bench.size(10, 3)
        scaled = ["--mean", "0.485,0.456,0.406", "--std", "0.229,0.224,0.225", "--device", "cpu"]
        commands = {
            "data-prep": ["data-prep", "--input", f"train={TRAIN}", "--take", f"train={n}"],
            "feature-extract": ["feature-extract", "--backbone", NETWORK, *scaled],
            "head-train": ["head-train"],
        }
        where = ["--run", bench.work / "run"]
        for command in commands.values():
            bench.run(*command, *where)
        states = {name: bench.run(*command, *where).said["state"] for name, command in commands.items()}
        if set(states.values()) & {"made"}:
            bench.fail(f"a program that has nothing to do worked: {states}", 1)

        def starts(command, how_many):
            ran = [bench.run(*command) for _ in range(how_many)]
            times = [1000 * it.seconds for it in ran]
            return {
                "median_ms": statistics.median(times),
                "worst_ms": max(times),
                "cpu_ms": 1000 * sum(it.cpu_s for it in ran) / len(ran),
            }

        contenders = {
            name: Contender(f"{name}, up to date", lambda command=command: starts([*command, *where], n_starts))
            for name, command in commands.items()
        }
        rehash = [*commands["feature-extract"], *where, "--rehash"]
        contenders["rehash"] = Contender("feature-extract --rehash", lambda: starts(rehash, n_starts))
        contenders["version"] = Contender(
            "feature-extract --version", lambda: starts(["feature-extract", "--version"], n_starts)
        )
        rounds = harness.Rounds(contenders, bench.n_rounds, "startup")
        print(f"\nprocesses with nothing to do, {n:,} pictures, {n_starts * bench.n_rounds} starts of each")
        rows, told = [], {}
        for key, contender in contenders.items():
            # The worst of all starts in rounds that count.
            it = {"median_ms": rounds.median(key, "median_ms"), "worst_ms": max(rounds.values(key, "worst_ms"))}
            it["cpu_ms"] = rounds.median(key, "cpu_ms")
            told[key] = it
            aim = harness.verdict_at_most(it["median_ms"], AIM_MS) if key == "feature-extract" else ""
            rows.append([contender.title, *(f"{it[which]:.1f}" for which in it), aim])
        harness.results.print_table(["", "median ms", "worst ms", "CPU ms", "aim"], rows)
        rounds.tell_others()
        bench.finish(pictures=n, starts_a_round=n_starts, aim_ms=AIM_MS, medians=told, **rounds.record())


if __name__ == "__main__":
    main()
