"""What benchmarks share: arguments, environment, starting programs and peers, rounds in turn, verdicts.

A benchmark is `with Benchmark(…) as bench:`. Contenders run once in every round, each round begins with another one,
and what is compared is the ratio within a round. See README.md, "How it is measured".
"""

import argparse
import dataclasses
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import machine
import peer
import results

HERE = Path(__file__).resolve().parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", HERE.parent / "target"))
PROGRAMS = TARGET / "release"
PEERS_HOME = Path(os.environ.get("PEERS_HOME", Path.home() / ".cache" / "headstart-peers"))
# Where cifar10/ and models/ may be, in this order.
DATA = [HERE.parent / "data" / "local", os.environ.get("HEADSTART_DATA"), HERE.parent.parent / "shared" / "data"]
# ONNX Runtime in Python reports its use otherwise, to Microsoft.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
EXIT_UNAVAILABLE = 69
EXIT_BUSY = 75

SETTLE_S = 0.2  # before a run: the threads of the run before spin for up to 50 ms
SAMPLE_S = 0.005  # between looks at a program's memory
MOST_OTHERS = 0.2  # cores; a round in which other processes took more is marked
FEWEST_ROUNDS = 3  # quiet rounds without which marked ones count too


def say(line):
    print(line, file=sys.stderr, flush=True)


def data(name):
    """A file of the data folder; one that is nowhere is given where it should be, so that its lack is told."""
    places = [Path(place) / name for place in DATA if place]
    return next((place for place in places if place.exists()), places[0])


def model(name):
    """A file among the peers' models."""
    return PEERS_HOME / "models" / name


@dataclasses.dataclass
class Contender:
    """One row of a table: `run` does the work once and gives its figures, of which there must be those of the table."""

    title: str
    run: object  # () -> {figure: number, …}
    process: object = None  # of the peer that does the work; None where it starts processes that end
    once: bool = False  # takes part in the first round only, because it is slow


class Rounds:
    """Contenders in turn: their figures and the cores that others took, by contender and round."""

    def __init__(self, contenders, n_rounds, label, before=None):
        """`before` runs at the start of each round, outside of what is measured."""
        self.contenders = contenders
        self.n_rounds = n_rounds
        self.figures = {key: {} for key in contenders}
        self.others = {key: {} for key in contenders}
        for number in range(n_rounds):
            say(f"{label}: round {number + 1} of {n_rounds}")
            if before:
                before()
            order = [key for key, contender in contenders.items() if number == 0 or not contender.once]
            turn = number % len(order)
            for key in order[turn:] + order[:turn]:
                contender = contenders[key]
                time.sleep(SETTLE_S)
                with machine.Span(contender.process and contender.process.pid) as span:
                    self.figures[key][number] = contender.run()
                self.others[key][number] = span.others_cores

    @property
    def disturbance(self):
        """Most cores that others took in each round, by round; of those that run once, only they know."""
        steady = [others for key, others in self.others.items() if not self.contenders[key].once]
        return [max(others[number] for others in steady) for number in range(self.n_rounds)]

    @property
    def counted(self):
        return counted(self.disturbance)

    def values(self, key, figure):
        """A contender's figure in the rounds that count."""
        mine = self.figures[key]
        numbers = list(mine) if self.contenders[key].once else self.counted
        return [mine[number][figure] for number in numbers]

    def median(self, key, figure):
        return statistics.median(self.values(key, figure))

    def ratio(self, over, under, figure):
        """Median over rounds of one contender's figure over another's in the same round."""
        once = self.contenders[over].once or self.contenders[under].once
        numbers = [0] if once else self.counted
        return statistics.median(self.figures[over][i][figure] / self.figures[under][i][figure] for i in numbers)

    def better(self, ours, theirs, figure, more_is_better):
        """How many times better ours is."""
        return self.ratio(ours, theirs, figure) if more_is_better else self.ratio(theirs, ours, figure)

    def table(self, figure, title, ours, *, more_is_better=True, aims=None, digits=1, others=(), title_ratio=None):
        """Prints a row a contender: its figure, how many times better ours is, and whether the aim is reached.

        `aims` is by contender, how many times better ours should be; `others` are (figure, title, digits) of further
        columns. Gives what was printed, for the results.
        """
        title_ratio = title_ratio or ("ours/its" if more_is_better else "its/ours")
        rows, told = [], {}
        for key, contender in self.contenders.items():
            value = self.median(key, figure)
            # Not every contender can tell all there is.
            has = [name for name, _, _ in others if name in self.figures[key][0]]
            told[key] = {figure: value, **{name: self.median(key, name) for name in has}}
            cells = [contender.title + (" (one round)" if contender.once else ""), f"{value:,.{digits}f}", "", ""]
            if key != ours:
                times = self.better(ours, key, figure, more_is_better)
                told[key]["ours_times_better"] = times
                cells[2] = f"× {times:.2f}"
                aim = (aims or {}).get(key)
                if aim is not None:
                    told[key].update(aim=aim, reached=times >= aim)
                    cells[3] = verdict(times, aim)
            rows.append(cells + [f"{told[key][name]:,.{places}f}" if name in has else "" for name, _, places in others])
        results.print_table(["", title, title_ratio, "aim", *(heading for _, heading, _ in others)], rows)
        self.tell_others()
        return {"medians": told, **self.record()}

    def record(self):
        """All figures of all rounds."""
        return {
            "rounds_counted": [number + 1 for number in self.counted],
            "figures_by_round": {key: list(figures.values()) for key, figures in self.figures.items()},
            "others_cores": {key: list(others.values()) for key, others in self.others.items()},
        }

    def tell_others(self):
        tell_others(self.disturbance)
        for key, contender in self.contenders.items():
            if contender.once and self.others[key][0] > MOST_OTHERS:
                print(f"others took {self.others[key][0]:.2f} cores from {contender.title}: its figure is worth little")


def counted(others):
    """The rounds that count, by the most cores that others took in each: the quiet ones, if there are enough."""
    quiet = [number for number, cores in enumerate(others) if cores <= MOST_OTHERS]
    return quiet if len(quiet) >= FEWEST_ROUNDS else list(range(len(others)))


def tell_others(others):
    """Prints the cores that others took in each round, and what became of disturbed rounds."""
    marked = [f"{cores:.2f}{'*' if cores > MOST_OTHERS else ''}" for cores in others]
    fate = "no round was disturbed"
    if len(counted(others)) < len(others):
        fate = "rounds with * were left out of all medians"
    elif max(others) > MOST_OTHERS:
        fate = f"rounds with * count too, as fewer than {FEWEST_ROUNDS} others remain: the figures are worth little"
    print(f"cores that others took, by round: {' '.join(marked)}; {fate}")


def verdict(value, aim):
    return f"≥ {aim:g} {'reached' if value >= aim else 'missed'}"


def verdict_at_most(value, aim):
    return f"≤ {aim:g} {'reached' if value <= aim else 'missed'}"


@dataclasses.dataclass
class Ran:
    """A program's run, from start to end."""

    seconds: float  # wall clock
    cpu_s: float
    peak_mb: float  # resident memory, 10^6 bytes
    stdout: str
    private_mb: float | None  # the part of it that no file stands behind, as the samples saw it

    @property
    def said(self):
        """What it said by --json."""
        return json.loads(self.stdout)


class Benchmark:
    """One benchmark's run. As a context it holds the lock and the peers."""

    def __init__(self, name, about, *, programs=(), files=(), rounds=5, options=(), environment="venv", command=None):
        """`programs` of ours and `files` have to be there; `options` are (flag, keywords) of further arguments.

        `environment` is the Python environment in the peers' home that the benchmark goes on in; None takes the one at
        hand. `command` is how it is started.
        """
        self.name = name
        self.command = command or f"just bench {name}"
        self.peers = {}
        self.extra_versions = {}
        self.work = TARGET / "bench" / name
        parser = argparse.ArgumentParser(prog=self.command, description=about.split("\n")[0])
        parser.add_argument(
            "--rounds", type=int, default=rounds, metavar="N", help="runs of every contender [default: %(default)s]"
        )
        parser.add_argument("--quick", action="store_true", help="2 rounds of less work, to see that all works")
        parser.add_argument(
            "--results", type=Path, metavar="FILE", help="where results go [default: bench/results.json]"
        )
        for flag, keywords in options:
            parser.add_argument(flag, **keywords)
        self.arguments = parser.parse_args()
        self.n_rounds = 2 if self.arguments.quick else self.arguments.rounds
        if self.n_rounds < 1:
            parser.error("--rounds has to be 1 or more")
        # Only a run of the sizes that stand here is a complete one; options without a default are no sizes.
        given = {flag: getattr(self.arguments, flag.strip("-").replace("-", "_")) for flag, _ in options}
        alike = all(given[flag] == how["default"] for flag, how in options if "default" in how)
        self.is_complete = alike and not self.arguments.quick and self.n_rounds >= rounds
        self._check(environment, [PROGRAMS / program for program in programs], files)

    def _check(self, environment, programs, files):
        python = Path(sys.executable) if environment is None else PEERS_HOME / environment / "bin" / "python"
        if not python.exists():
            self.fail(
                f"{python} is missing: run the peers' set-up script, which makes the environments and models "
                "(bench/README.md says what is in them), or let PEERS_HOME name the folder that has them"
            )
        for file in map(Path, files):
            if not file.exists():
                which = (
                    "the peers' set-up script makes it" if PEERS_HOME in file.parents else "`just data FOLDER` links it"
                )
                self.fail(f"{file} is missing: {which} (bench/README.md says what is needed)")
        for program in programs:
            if not program.exists():
                self.fail(f"{program} is missing: run `{self.command}`, which builds it")
        if environment is not None and Path(sys.prefix).resolve() != python.parent.parent.resolve():
            os.execv(python, [python, *sys.argv])

    def fail(self, why, code=EXIT_UNAVAILABLE):
        say(f"bench {self.name}: {why}")
        sys.exit(code)

    def size(self, full, quick):
        """How much work, in full and with --quick."""
        return quick if self.arguments.quick else full

    def __enter__(self):
        # Held to the end of the program.
        self.lock = machine.lock(self.work.parent)
        if self.lock is None:
            self.fail("another benchmark is running; two at once would measure each other", EXIT_BUSY)
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True)
        return self

    def __exit__(self, kind, failure, _trace):
        for it in self.peers.values():
            it.stop()
        # Logs stay, artifacts are large.
        for it in self.work.iterdir():
            if it.is_dir():
                shutil.rmtree(it, ignore_errors=True)
        if kind is peer.Failure:
            self.fail(failure)

    def start(self, file, name, n_threads=peer.N_THREADS, **options):
        """Starts a peer, class `name` of `file` here, made with `options`."""
        say(f"starting {name}")
        started = peer.Peer(HERE / file, name, sys.executable, self.work, options, n_threads)
        # Of one class there may be several.
        n_alike = sum(key.split(" ")[0] == name for key in self.peers)
        self.peers[f"{name} {n_alike + 1}" if n_alike else name] = started
        return started

    def make(self, what, **options):
        """Makes an input by a function of inputs.py, in a process of its own.

        This one has to stay small: a program's peak is said to be no less than what its parent had when it was started.
        """
        command = [sys.executable, HERE / "inputs.py", what, json.dumps(options, default=str)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            self.fail(f"inputs.py {what} ended with {done.returncode}")
        return json.loads(done.stdout)

    def run(self, program, *arguments, sampled=False):
        """Runs one of our programs to its end; a failure of it is one of the benchmark, too.

        With `sampled` its memory is looked at every few milliseconds, which the time is then coarse by.
        """
        command = [str(word) for word in (PROGRAMS / program, *arguments, "--quiet", "--json")]
        stdout, stderr = self.work / "stdout", self.work / "stderr"
        with stdout.open("w") as out, stderr.open("w") as err:
            started = time.perf_counter()
            process = subprocess.Popen(command, stdout=out, stderr=err)
            private = 0.0
            while sampled and os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                private = max(private, machine.private_mb(process.pid))
                time.sleep(SAMPLE_S)
            _, status, used = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - started
        # Popen was not the one who waited, and has to know.
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            self.fail(f"`{' '.join(command)}` ended with {process.returncode}: {stderr.read_text().strip()}", 1)
        cpu_s, peak_mb = used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / 1e6
        return Ran(seconds, cpu_s, peak_mb, stdout.read_text(), private if sampled else None)

    def knows(self, program, option):
        """Whether a program has an option."""
        done = subprocess.run([PROGRAMS / program, "--help"], capture_output=True, text=True)
        return option in done.stdout

    def finish(self, **figures):
        """Puts the figures into the results, if the run was a complete one."""
        if self.arguments.results is None and not self.is_complete:
            say("this was no complete run, so bench/results.json stays as it is; --results FILE writes another file")
            return
        file = self.arguments.results or results.FILE
        runtime = [path.name for path in (HERE.parent / "runtime" / "lib").glob("libonnxruntime.so.*")]
        ours = {"commit": results.commit(), "runtime": runtime}
        versions = {"headstart": ours, **{name: it.versions for name, it in self.peers.items()}, **self.extra_versions}
        command = " ".join([self.command, *sys.argv[1:]])
        results.save(file, self.name, command, versions, {"rounds": self.n_rounds, **figures})
        say(f"written to {file}")
