"""Tokens per second of `generate` on GPT-2 124M, beside what one would use instead, and beside the memory's limit.

Command   just bench generate            (builds the programs first), or python3 bench/generate.py
Options   --rounds N (default 5), --quick (2 rounds), --only NAME,… (of headstart, transformers, optimum, bare, genai;
          headstart always takes part), --configs BATCHxPROMPT,… (default 1x8,8x8,1x128,8x128), --results FILE
Needs     the peers' home, $PEERS_HOME or ~/.cache/headstart-peers: models/gpt2 (ONNX), models/gpt2-pt (PyTorch) and
          the Python environments venv and venv-opt; bench/README.md says what is in them. A C compiler.
Output    tables on stdout; bench/results.json after a complete run (all contenders and configurations, five rounds or
          more), or FILE if --results is given. Workings in target/bench/generate.
Expected  All ids the same. Batch 1, prompt 8: an earlier comparison of the peers alone saw 22.7 (transformers), 33.4
          (optimum), 47.3 (bare) and 48.3 (genai) tokens/s side by side. The machine's memory is faster and slower by
          the hour, twice as fast sometimes, so it is the ratios that count.
Duration  about 10 minutes on two quiet cores; each round of all four configurations takes about 2.
Seed      1337 (which words the prompts are made of). Everything else is greedy and has no draws, but for the sampled
          runs, whose seed is 0.

Float32, two threads, 100 new tokens a row, end tokens ignored. In a round every contender runs once, and each round
begins with another one. Ratios are taken within rounds, and their median is shown, so that a machine that slows down
between rounds slows down everybody.

`generate` is started anew for every run and gives its own rate, without the loading and from its first step on: its
buffers are cold, and reading the prompts and writing the completions is included. The peers are loaded and have run
before, and read and write nothing. What remains of that difference speaks for them.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import harness
import machine
import results
import workers
from harness import EXIT_BUSY, EXIT_UNAVAILABLE, HERE, PEERS_HOME, PROGRAMS, SETTLE_S, TARGET, say

WORK = TARGET / "bench" / "generate"
MODEL = PEERS_HOME / "models" / "gpt2"

SEED = 1337
N_NEW = 100  # tokens of every row
N_WARM = 4  # tokens of the runs before the first round
CONFIGS = [(1, 8), (8, 8), (1, 128), (8, 128)]  # (rows of the batch, tokens of each prompt)
SAMPLED = (8, 8)  # the configuration that is also run with sampling
SAMPLING = "--strategy sample --temperature 0.8 --top-k 50 --top-p 0.95".split()

# What issue 3 aims at: our rate over a peer's, by the batch.
AIMS = {1: {"transformers": 2.0, "optimum": 1.4, "bare": 1.05, "genai": 1.05}, 8: {"transformers": 2.5, "genai": 1.05}}

# Parameters of the network, less the table of positions, of which a step reads a row a sequence. The embedding is one
# with the last layer and is read whole once, as that.
N_WEIGHTS = 124_439_808 - 1024 * 768
CACHE_BYTES = 72 * 1024  # of one token: 12 layers, key and value, 768 floats

# Each is one token of GPT-2's vocabulary, with a space in front and, at the beginning of a text, without.
WORDS = (
    "the and but when over under into from with water light house stone river world people night winter small great "
    "old new open cold bright dark green red blue gold long short hand head heart voice word book door road ship sun"
).split()


# --- prompts ---------------------------------------------------------------------------------------------------------


def make_prompts(config, n_rows, n_tokens):
    """A prompts artifact of rows of exactly `n_tokens`, and their ids as `data-prep` wrote them."""
    words = random.Random(f"{SEED} {config}")
    texts = [" ".join(words.choices(WORDS, k=n_tokens)) for _ in range(n_rows)]
    listing, out = WORK / f"prompts-{config}.jsonl", WORK / f"prompts-{config}"
    listing.write_text("".join(json.dumps({"id": f"row-{i}", "text": text}) + "\n" for i, text in enumerate(texts)))
    folders = ["--run", WORK, "--out", out, "--overwrite", "--quiet"]
    run([PROGRAMS / "data-prep", "--input", listing, "--tokenizer", MODEL, *folders])
    ids = read_column(out, "input_ids")
    lengths = [len(row) for row in ids]
    if lengths != [n_tokens] * n_rows:
        sys.exit(f"bench generate: the prompts for {config} should have {n_tokens} tokens a row, but have {lengths}")
    return ids


def read_column(artifact, name):
    """One column of an artifact's parts, row by row."""
    # Only the peers' Python has it, and the check for that has to come first.
    import pyarrow.parquet as pq

    return [row for part in sorted(artifact.glob("part-*.parquet")) for row in pq.read_table(part)[name].to_pylist()]


# --- contenders ------------------------------------------------------------------------------------------------------


def run(command):
    """Runs one of our programs to its end and gives its stdout; a failure is ours, too."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"bench generate: {Path(command[0]).name} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


class Headstart:
    """`generate`, started for every run. Gives ids and rate as the workers do."""

    title = "headstart"

    def __init__(self, config, strategy=("--strategy", "greedy")):
        self.config = config
        self.strategy = strategy

    def generate(self, prompts, n_new):
        out = WORK / f"completions-{self.config}"
        folders = ["--model", MODEL, "--run", WORK, "--prompts", WORK / f"prompts-{self.config}", "--out", out]
        lengths = ["--max-new-tokens", str(n_new), "--ignore-eos", "--batch", str(len(prompts))]
        where = ["--device", "cpu", "--threads", str(workers.N_THREADS), "--overwrite", "--quiet", "--json"]
        said = json.loads(run([PROGRAMS / "generate", *folders, *lengths, *self.strategy, *where]))
        return read_column(out, "token_ids"), said["tokens_per_second"]


def first_difference(ours, theirs):
    """None if all ids are equal, else where the first differs."""
    for row, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
        for step in range(max(len(mine), len(other))):
            if mine[step : step + 1] != other[step : step + 1]:
                return {"row": row, "token": step, "ours": mine[step : step + 1], "theirs": other[step : step + 1]}
    return None


# --- measuring -------------------------------------------------------------------------------------------------------


def measure(config, started, bandwidth, n_rounds):
    """All rounds of one configuration: rates and others' cores by contender, differences of ids, and bandwidth."""
    n_rows, n_prompt = config
    name = f"{n_rows}x{n_prompt}"
    prompts = make_prompts(name, n_rows, n_prompt)
    contenders = {"headstart": Headstart(name), **started}
    if config == SAMPLED:
        contenders["sampled"] = Headstart(name, SAMPLING)
    for contender in contenders.values():
        contender.generate(prompts, N_WARM)
    rates = {key: [] for key in contenders}
    others = {key: [] for key in contenders}
    new_ids = {}
    reads = []
    for number in range(n_rounds):
        say(f"{name}: round {number + 1} of {n_rounds}")
        reads += bandwidth.measure()
        order = list(contenders)
        turn = number % len(order)
        for key in order[turn:] + order[:turn]:
            contender = contenders[key]
            pid = contender.process.pid if isinstance(contender, workers.Worker) else None
            time.sleep(SETTLE_S)
            with machine.Span(pid) as span:
                ids, rate = contender.generate(prompts, N_NEW)
            if any(len(row) != N_NEW for row in ids):
                sys.exit(f"bench generate: {key} made {[len(row) for row in ids]} tokens and not {N_NEW} a row")
            rates[key].append(rate)
            others[key].append(span.others_cores)
            if new_ids.setdefault(key, ids) != ids:
                sys.exit(f"bench generate: {key} made other ids in round {number + 1} than before")
    greedy = {key: ids for key, ids in new_ids.items() if key not in ("headstart", "sampled")}
    differences = {key: first_difference(new_ids["headstart"], ids) for key, ids in greedy.items()}
    return {"rates": rates, "others_cores": others, "differences": differences, "bandwidth": reads}


def evaluate(config, measured):
    """Medians over the rounds that count, ratios within them, and the share of the memory's limit."""
    n_rows, n_prompt = config
    rates = measured["rates"]
    by_round = [max(cores) for cores in zip(*measured["others_cores"].values())]
    counted = harness.counted(by_round)
    median = {key: statistics.median(values[i] for i in counted) for key, values in rates.items()}
    ours = rates["headstart"]
    ratio = {key: statistics.median(ours[i] / values[i] for i in counted) for key, values in rates.items()}
    # A step reads all weights, and of every row what its cache has by then; the rows share the weights.
    bytes_a_step = 4 * N_WEIGHTS + n_rows * (n_prompt + N_NEW / 2) * CACHE_BYTES
    limits = {}
    for which, read in (("burst", max(measured["bandwidth"])), ("median", statistics.median(measured["bandwidth"]))):
        limit = n_rows * read * 1e9 / bytes_a_step
        limits[which] = {"GB_per_s": read, "tokens_per_s": limit, "our_share": median["headstart"] / limit}
    return {
        "tokens_per_s": median,
        "ours_over_it": ratio,
        "first_difference": measured["differences"],
        "limit": limits,
        "bytes_a_step": bytes_a_step,
        "others_cores_by_round": by_round,
        "rounds_counted": [i + 1 for i in counted],
        "tokens_per_s_by_round": rates,
        "others_cores": measured["others_cores"],
    }


# --- telling ---------------------------------------------------------------------------------------------------------


def show(config, figures):
    n_rows, n_prompt = config
    print(f"\nbatch {n_rows}, prompt {n_prompt}, {N_NEW} new tokens")
    limit = figures["limit"]["burst"]["tokens_per_s"]
    rows = []
    for key, rate in figures["tokens_per_s"].items():
        if key == "sampled":
            continue
        title = workers.PEERS[key].title if key in workers.PEERS else Headstart.title
        aim = AIMS.get(n_rows, {}).get(key)
        ratio = figures["ours_over_it"][key]
        verdict = "" if aim is None else f"≥ {aim:.2f} {'reached' if ratio >= aim else 'missed'}"
        ours = key == "headstart"
        same = "" if ours else "yes" if figures["first_difference"][key] is None else "no"
        share = f"{100 * rate / limit:.0f} %"
        rows.append([title, f"{rate:.1f}", "" if ours else f"× {ratio:.2f}", verdict, same, share])
    results.print_table(["", "tokens/s", "ours/its", "aim", "same ids", "of burst limit"], rows)
    for which, it in figures["limit"].items():
        print(
            f"limit, {which} bandwidth: {it['GB_per_s']:.1f} GB/s over {figures['bytes_a_step'] / 1e6:.0f} MB a step = "
            f"{it['tokens_per_s']:.1f} tokens/s, of which headstart has {100 * it['our_share']:.0f} %"
        )
    if "sampled" in figures["tokens_per_s"]:
        rate, ratio = figures["tokens_per_s"]["sampled"], 1 / figures["ours_over_it"]["sampled"]
        print(f"headstart, {' '.join(SAMPLING)}: {rate:.1f} tokens/s, × {ratio:.2f} of its greedy rate")
    for key, at in figures["first_difference"].items():
        if at:
            where = f"in row {at['row']}, new token {at['token']}"
            print(f"{key} differs first {where}: {at['theirs']} instead of {at['ours']}")
    harness.tell_others(figures["others_cores_by_round"])


# --- arguments -------------------------------------------------------------------------------------------------------


def names(text):
    return [name for name in text.split(",") if name != "headstart"]


def configs(text):
    return [tuple(map(int, config.split("x"))) for config in text.split(",")]


def parse_arguments():
    parser = argparse.ArgumentParser(prog="just bench generate", description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="runs of every contender [default: 5]")
    parser.add_argument("--quick", action="store_true", help="2 rounds")
    peers = ", ".join(workers.PEERS)
    parser.add_argument("--only", type=names, metavar="NAME,…", help=f"peers, of {peers} [default: all]")
    parser.add_argument("--configs", type=configs, metavar="BATCHxPROMPT,…", help="such as 1x8 [default: the four]")
    parser.add_argument("--results", type=Path, metavar="FILE", help="where results go [default: bench/results.json]")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.only or [] if name not in workers.PEERS]
    if unknown:
        parser.error(f"--only: there is no {', '.join(unknown)}; there are {peers}")
    n_rounds = 2 if arguments.quick else arguments.rounds
    if n_rounds < 1 or any(len(config) != 2 or min(config) < 1 for config in arguments.configs or []):
        parser.error("rounds have to be 1 or more, and configurations BATCHxPROMPT, both 1 or more")
    return arguments, n_rounds


def go_on_in_the_peers_environment():
    """Starts this script anew with the peers' Python, which has pyarrow; or says what is missing."""
    needed = [MODEL / "model.onnx", MODEL / "tokenizer.json", PEERS_HOME / "models" / "gpt2-pt" / "config.json"]
    needed += [PEERS_HOME / environment / "bin" / "python" for environment in ("venv", "venv-opt")]
    missing = [str(path) for path in needed if not path.exists()]
    if missing:
        say(
            f"bench generate: {missing[0]} is missing: run the peers' set-up script, which makes the environments and "
            "the GPT-2 folders (bench/README.md says what is in them), or let PEERS_HOME name the folder that has them"
        )
        sys.exit(EXIT_UNAVAILABLE)
    absent = [name for name in ("data-prep", "generate") if not (PROGRAMS / name).exists()]
    if absent:
        say(f"bench generate: {PROGRAMS / absent[0]} is missing: run `just bench generate`, which builds it")
        sys.exit(EXIT_UNAVAILABLE)
    environment = PEERS_HOME / "venv"
    if Path(sys.prefix).resolve() != environment.resolve():
        python = environment / "bin" / "python"
        os.execv(python, [python, *sys.argv])


def main():
    arguments, n_rounds = parse_arguments()
    go_on_in_the_peers_environment()
    # Held to the end of the program.
    lock = machine.lock(WORK.parent)
    if lock is None:
        say("bench generate: another benchmark is running; two at once would measure each other")
        sys.exit(EXIT_BUSY)
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    names = list(workers.PEERS) if arguments.only is None else arguments.only
    asked = arguments.configs or CONFIGS
    bandwidth = machine.Bandwidth(WORK, workers.N_THREADS)
    started = {}
    try:
        for name in names:
            say(f"starting {name}")
            started[name] = workers.Worker(name, PEERS_HOME, WORK)
        figures = {}
        for config in asked:
            evaluated = evaluate(config, measure(config, started, bandwidth, n_rounds))
            show(config, evaluated)
            figures["{}x{}".format(*config)] = evaluated
    except workers.Failure as failure:
        say(f"bench generate: {failure}")
        sys.exit(EXIT_UNAVAILABLE)
    finally:
        for worker in started.values():
            worker.stop()
    is_complete = set(names) == set(workers.PEERS) and set(asked) >= set(CONFIGS) and n_rounds >= 5
    if arguments.results is None and not is_complete:
        say("this was no complete run, so bench/results.json stays as it is; --results FILE writes another file")
        return
    file = arguments.results or results.FILE
    runtime = [path.name for path in (HERE.parent / "runtime" / "lib").glob("libonnxruntime.so.*")]
    ours = {"commit": results.commit(), "runtime": runtime}
    versions = {"headstart": ours, **{name: worker.versions for name, worker in started.items()}}
    command = " ".join(["just bench generate", *sys.argv[1:]])
    results.save(file, "generate", command, versions, {"rounds": n_rounds, "configurations": figures})
    say(f"written to {file}")


if __name__ == "__main__":
    main()
