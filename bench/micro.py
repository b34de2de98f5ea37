"""The micro-benchmarks of the crates: reading a features artifact, and the kernels of the linear head.

Command   just bench micro, or python3 bench/micro.py
Options   none
Needs     cargo; the crates' benchmarks are built first.
Output    what the benchmarks print (divan): fastest, slowest, median and mean. Nothing goes into bench/results.json.
Expected  Reading 50,000 × 512 features with digest checks off no slower than reading the plain bytes of the same files
          into memory, and with them on at most twice as slow.
Duration  about 1 minute after building.
"""

import subprocess
import sys

import harness
import machine

BENCHES = [("artifact", "reading"), ("linear-head", "sweep")]


def main():
    lock = machine.lock(harness.TARGET / "bench")
    if lock is None:
        harness.say("bench micro: another benchmark is running; two at once would measure each other")
        sys.exit(harness.EXIT_BUSY)
    for package, name in BENCHES:
        print(f"\n{package}: {name}", flush=True)
        command = ["cargo", "bench", "--quiet", "--package", package, "--bench", name]
        done = subprocess.run(command, cwd=harness.HERE.parent)
        if done.returncode:
            harness.say(f"bench micro: `{' '.join(command)}` ended with {done.returncode}")
            sys.exit(1)


if __name__ == "__main__":
    main()
