"""What a measurement has to know about the machine: its name, its memory's speed, and who else is using it."""

import contextlib
import fcntl
import os
import platform
import resource
import subprocess
import time
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
BUFFER_MIB = 512  # of the bandwidth reads: 16 times the largest cache of the machines this was written on
N_READS = 10  # of one measurement, about 20 ms each


def describe():
    """The processor's name, its cores and the kernel."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    return {"processor": model, "cores": len(os.sched_getaffinity(0)), "kernel": platform.release()}


def lock(folder):
    """Keeps other benchmarks away until the file that is given is closed. Gives None if one is running."""
    folder.mkdir(parents=True, exist_ok=True)
    file = (folder / "lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def busy_s():
    """Seconds of work of all cores since the start, among them those that the host gave to other guests."""
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS


def process_s(pid):
    """Seconds of work of a running process, all threads, with its children, those that ended and those that run."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    total = sum(map(int, fields[11:15])) / TICKS
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in file.read_text().split():
            # One that ends just now is among those that ended the next time.
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                total += process_s(child)
    return total


def private_mb(pid):
    """Resident memory of a process that no file stands behind, in 10^6 bytes; 0 for one that has ended."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("RssAnon:")), 0.0)


class Span:
    """A stretch of time in which one contender runs; `others_cores` is how many cores everybody else took meanwhile.

    The contender's own work is that of process `pid`, or without one that of children which end within the span. The
    benchmark's own work is left out; workers that ought to be idle are not, so that one that spins shows.
    """

    def __init__(self, pid=None):
        self.pid = pid

    def own_s(self):
        total = time.process_time()
        if self.pid is not None:
            return total + process_s(self.pid)
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return total + children.ru_utime + children.ru_stime

    def __enter__(self):
        self.before = (time.perf_counter(), busy_s() - self.own_s())
        return self

    def __exit__(self, *_):
        self.wall_s = time.perf_counter() - self.before[0]
        self.others_cores = max(0.0, busy_s() - self.own_s() - self.before[1]) / self.wall_s


class Bandwidth:
    """Reads of a large buffer by the program in read_bandwidth.c, in pages as `generate` uses them."""

    def __init__(self, folder, n_threads):
        self.program = folder / "read_bandwidth"
        self.environment = dict(os.environ, OMP_NUM_THREADS=str(n_threads))
        source = Path(__file__).with_name("read_bandwidth.c")
        command = ["cc", "-O3", "-march=native", "-fopenmp", source, "-o", self.program]
        subprocess.run(command, check=True)
        self.reads = []

    def measure(self):
        """Adds reads, and gives their rates in GB/s (10^9 bytes)."""
        command = [self.program, str(BUFFER_MIB), str(N_READS), "1"]
        done = subprocess.run(command, env=self.environment, check=True, capture_output=True, text=True)
        reads = [float(line) for line in done.stdout.split()]
        self.reads += reads
        return reads
