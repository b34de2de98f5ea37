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
    benchmarks=(generate)
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

# Check formatting and lints
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --quiet -- --deny warnings

# What CI runs
ci: lint test
