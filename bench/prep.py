"""Pictures per second of `data-prep`, on one core and on two, beside Pillow's loop and a DataLoader; its memory.

Command   just bench prep                (builds the programs first), or python3 bench/prep.py
Options   --rounds N (default 5), --quick (2 rounds of fewer pictures), --results FILE
Needs     the peers' home (bench/README.md); cifar10/train.parquet in data/local, $HEADSTART_DATA or ../shared/data; 1
          GB of disk in target/bench/prep, which is given back at the end.
Output    two tables; bench/results.json after a complete run.
Expected  Pillow alone, on one core of an AMD EPYC: 1,070 pictures a second of 32 × 32 enlarged to 224, 230 to 300 of
          500 × 375. Ours 20 and 3.5 times as many a core, or more; memory that does not grow with the pictures.
Duration  about 10 minutes on two quiet cores, of which 1 to make the pictures.
Seed      1337 (the 500 × 375 pictures).

Ours is a process started anew for every run that decodes, resizes and writes Parquet, and all of that is timed. The
peers are loaded, have run before, and keep nothing. Files are in the page cache for all.
"""

import shutil

import harness
from harness import Contender

TRAIN = harness.data("cifar10/train.parquet")
FACTOR = 4  # by which there are more pictures in the second measurement of memory
MOST_GROWTH = 1.1  # of the peak, for as many more pictures, that is called flat

# Of each kind: pictures in full and with --quick, data-prep's size, and aims for one thread over a peer.
KINDS = {
    "small": {
        "title": "32 × 32 JPEG of CIFAR-10, stored as they are by data-prep, enlarged to 224 by the others",
        "n": (20_000, 800),
        "size": [],
        "peers": {"Pillow": 224, "AsTheyAre": 0, "Loader": 224},
        "aims": {"Pillow": 20},
    },
    "photos": {
        "title": "500 × 375 JPEG to 224 × 224",
        "n": (2_000, 80),
        "size": ["--size", "224"],
        "peers": {"Pillow": 224, "Loader": 224},
        "aims": {"Pillow": 3.5},
    },
}
TITLES = {
    "Pillow": "Pillow, plain loop, 1 process",
    "AsTheyAre": "the same, not enlarged",
    "Loader": "DataLoader, 2 workers",
}


def measure(bench, kind):
    about = KINDS[kind]
    n = bench.size(*about["n"])
    folders = {FACTOR: bench.work / kind, 1: bench.work / f"{kind}-few"}
    for factor, folder in folders.items():
        how_many = n * factor // FACTOR
        if kind == "small":
            made = bench.make("cifar_folder", parquet=TRAIN, out=folder, n=how_many)
        else:
            made = bench.make("synthetic_folder", out=folder, n=how_many)
    print(f"\n{about['title']}: {n} files of {made['mean_bytes']:.0f} bytes")
    out = bench.work / "examples"

    def prepare(factor, n_threads):
        # To remove what the run before has left takes up to a tenth of a run, of every second one more than of the others.
        shutil.rmtree(out, ignore_errors=True)
        where = ["--out", out, "--threads", str(n_threads)]
        ran = bench.run("data-prep", "--input", folders[factor], *about["size"], *where)
        return {
            "rate": ran.said["rows"] / ran.seconds,
            "per_cpu_s": ran.said["rows"] / ran.cpu_s,
            "peak_mb": ran.peak_mb,
        }

    for factor in folders:
        prepare(factor, 2)
    contenders = {
        "one": Contender("data-prep --threads 1", lambda: prepare(FACTOR, 1)),
        "two": Contender("data-prep --threads 2", lambda: prepare(FACTOR, 2)),
        "few": Contender(f"data-prep --threads 2, {n // FACTOR} files", lambda: prepare(1, 2)),
    }
    started = {}
    for name, size in about["peers"].items():
        options = {"n_workers": 2} if name == "Loader" else {}
        process = bench.start("picture_peers.py", name, n_threads=1, folder=folders[FACTOR], size=size, **options)
        process.ask("run")
        contenders[name] = Contender(TITLES[name], lambda process=process: process.ask("run"), process.process)
        started[name] = process
    rounds = harness.Rounds(contenders, bench.n_rounds, kind)
    for process in started.values():
        process.stop()
    others = [("per_cpu_s", "images/CPU s", 0), ("peak_mb", "peak MB", 0)]
    told = rounds.table(
        "rate", "images/s", "one", aims=about["aims"], digits=0, others=others, title_ratio="1 thread/its"
    )
    pair = rounds.ratio("two", "Loader", "rate")
    print(f"two threads over the DataLoader's two workers: × {pair:.2f}")
    growth = rounds.ratio("two", "few", "peak_mb")
    flat = harness.verdict_at_most(growth, MOST_GROWTH)
    print(f"peak memory with {FACTOR} times as many pictures: × {growth:.2f} ({flat})")
    return {"pictures": n, "mean_bytes": made["mean_bytes"], "two_over_loader": pair, "peak_growth": growth, **told}


def main():
    bench = harness.Benchmark("prep", __doc__, programs=["data-prep"], files=[TRAIN])
    with bench:
        figures = {kind: measure(bench, kind) for kind in KINDS}
        bench.finish(kinds=figures)


if __name__ == "__main__":
    main()
