# The only orchestrator: `just` lists what there is, `just pipeline` runs the demo.

set shell := ["bash", "-euo", "pipefail", "-c"]
set positional-arguments

bin := env("CARGO_TARGET_DIR", justfile_directory() / "target") / "release"

# List the recipes
default:
    @just --list

# Fetch the ONNX Runtime library into runtime/lib/ (pinned, checked by digest)
setup:
    @python3 runtime/fetch.py

# Build the programs, optimised
build:
    @cargo build --release --quiet --package data-prep --package feature-extract --package head-train --package generate --package classify --package headstart

# Run a pipeline file, or both demos: pictures to scores, prompts to verse; more arguments go to every stage
pipeline FILE="demo" *ARGS: setup build
    #!/usr/bin/env bash
    set -euo pipefail
    files=(pipelines/demo.toml pipelines/demo-verse.toml)
    case "$1" in
        demo) shift ;;
        -*) ;; # A word with dashes in the first place is an argument already.
        *) files=("$1") && shift ;;
    esac
    stages=(data-prep feature-extract head-train classify generate)
    # Every stage reads its part of the file before the first one works for hours. A stage that a file is not about
    # says so and ends.
    for file in "${files[@]}"; do
        for stage in "${stages[@]}"; do
            "{{ bin }}/$stage" --pipeline "$file" "$@" --check --quiet
        done
    done
    for file in "${files[@]}"; do
        for stage in "${stages[@]}"; do
            echo "== $stage --pipeline $file $*" >&2
            "{{ bin }}/$stage" --pipeline "$file" "$@"
        done
    done

# Download what a pipeline file names on a hub (hf://…) into the cache, and do nothing else; more arguments go to every stage
fetch FILE *ARGS: build
    #!/usr/bin/env bash
    set -euo pipefail
    file="$1"
    shift
    for stage in data-prep feature-extract head-train classify generate; do
        "{{ bin }}/$stage" --pipeline "$file" "$@" --fetch
    done

# Link a folder that holds cifar10/ or models/ as data/local, where the pipelines look
data FOLDER:
    #!/usr/bin/env bash
    set -euo pipefail
    if [ ! -d "$1/cifar10" ] && [ ! -d "$1/models" ]; then
        echo "just data: there is neither cifar10/ nor models/ in $1; expected a folder with one of them or both" >&2
        exit 66
    fi
    ln -sfn "$(realpath "$1")" data/local
    echo "data/local is now $1" >&2

# Run all tests
test *ARGS: setup
    cargo test --workspace "$@"

# Measure speed beside others: all benchmarks, or one by name; more arguments go to it (see bench/README.md)
bench NAME="all" *ARGS: setup build
    #!/usr/bin/env bash
    set -euo pipefail
    benchmarks=(job extract int8 prep head grid micro scaling startup generate)
    chosen=("${benchmarks[@]}")
    case "$1" in
        all) shift ;;
        -*) ;; # A word with dashes in the first place is an argument already.
        *) chosen=("$1") && shift ;;
    esac
    if [[ " ${benchmarks[*]} " != *" ${chosen[0]} "* ]]; then
        echo "just bench: there is no ${chosen[0]}; there are: ${benchmarks[*]}" >&2
        exit 2
    fi
    for name in "${chosen[@]}"; do
        python3 "bench/$name.py" "$@"
    done

# Measure speed on a CUDA device; where there is none it says so
bench-gpu *ARGS: setup build
    @python3 bench/gpu.py "$@"

# Check formatting and lints
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --quiet -- --deny warnings

# Throw hostile bytes at one reader for so many seconds; without TARGET list them (see fuzz/README.md)
fuzz TARGET="" SECONDS="60" *ARGS:
    #!/usr/bin/env bash
    set -euo pipefail
    targets=$(cd fuzz/fuzz_targets && ls -- *.rs | sed 's/\.rs$//')
    if ! grep -qxF -- "$1" <<<"$targets"; then
        echo "$targets"
        [ -z "$1" ] || { echo "just fuzz: there is no target $1" >&2; exit 2; }
        exit 0
    fi
    target="$1" seconds="$2"
    shift 2
    if [ "$(cargo fuzz --version 2>/dev/null)" != "cargo-fuzz 0.13.2" ]; then
        cargo install cargo-fuzz --version 0.13.2 --locked
    fi
    mkdir -p "fuzz/corpus/$target"
    # Threads of a pool that nobody waits for look like leaks when the process ends.
    export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=0}"
    cargo +nightly fuzz run "$target" "fuzz/corpus/$target" "fuzz/seeds/$target" -- \
        -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=60 -max_len=131072 "$@"

# Check licences, versions and sources of all dependencies, and known advisories where their database can be fetched
deny:
    #!/usr/bin/env bash
    set -euo pipefail
    if [ "$(cargo deny --version 2>/dev/null)" != "cargo-deny 0.20.2" ]; then
        cargo install cargo-deny --version 0.20.2 --locked
    fi
    cargo deny check licenses bans sources
    if cargo deny fetch db 2>/dev/null; then
        cargo deny check --disable-fetch advisories
    else
        echo "just deny: advisories were NOT checked, because their database cannot be fetched from here" >&2
    fi

# Kill every program so often at random moments, and damage its artifacts; what comes out in the end must be the same bytes
crash-test KILLS="25" MUTATIONS="2000": setup
    HEADSTART_KILLS="$1" HEADSTART_MUTATIONS="$2" cargo test --package headstart-tests --test e2e -- faults:: --nocapture

# What CI runs
ci: lint test
