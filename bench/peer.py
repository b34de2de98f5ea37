"""A program that ours is compared with, in a process of its own that lives through the whole benchmark.

`Peer` is the side of the benchmark; `serve` is the other side, at the end of each file that has peers. A peer is a
class with a title, the Python environment it runs in (a folder of the peers' home), `versions()` and methods that are
called by name, with and giving what JSON can say. It loads what it needs once, then waits: one call a line on stdin,
one answer a line on stdout.

A peer that waits does not compute: the threads of ONNX Runtime spin for 50 ms after a run, those of OpenMP for less,
and then they sleep (seen: no CPU time at all while another peer ran). So they are left to spin while they run, which is
how they are fastest.
"""

import contextlib
import importlib.metadata
import json
import os
import subprocess
import sys

N_THREADS = 2


class Failure(Exception):
    """A peer that did not start, or did not answer."""


class Peer:
    """A peer's process, seen from the benchmark: class `name` of `file`, made with `options`."""

    def __init__(self, file, name, python, work, options, n_threads=N_THREADS):
        self.name = name
        self.log = work / f"{name}.log"
        environment = dict(os.environ, HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
        for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            environment[variable] = str(n_threads)
        command = [python, file, name, json.dumps(options, default=str)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        with self.log.open("w") as log:
            try:
                self.process = subprocess.Popen(command, env=environment, stderr=log, **pipes)
            except OSError as error:
                raise Failure(f"{name}: cannot start {python}: {error.strerror}") from error
        self.versions = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            said = self.log.read_text().strip().splitlines()
            raise Failure(f"{self.name} ended: {said[-1] if said else 'it said nothing'} (all of it: {self.log})")
        return json.loads(line)

    def ask(self, method, **what):
        """Calls a method of the peer and gives what it gave."""
        # To a peer that has ended nothing can be written; its answer will say so.
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps({"method": method, "what": what}, default=str), file=self.process.stdin, flush=True)
        return self.answer()

    def stop(self):
        """Closes the peer's stdin, upon which it ends."""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()


def versions_of(*packages):
    return {package: importlib.metadata.version(package) for package in packages}


def serve(peers):
    """The peer's side: loads, says its versions, then answers until stdin ends."""
    # Libraries may print; what they say goes to the log and leaves the answers alone.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    _, name, options = sys.argv
    it = peers[name](**json.loads(options))
    print(json.dumps(it.versions()), file=answers, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(getattr(it, asked["method"])(**asked["what"])), file=answers, flush=True)
