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
    @cargo build --release --quiet --package data-prep --package feature-extract --package head-train

# Run a pipeline from pictures to scores; more arguments go to every stage, such as --set KEY=VALUE
pipeline FILE="pipelines/demo.toml" *ARGS: setup build
    #!/usr/bin/env bash
    set -euo pipefail
    # A word with dashes in the first place is an argument already, and the pipeline is the demo.
    case "$1" in -*) set -- pipelines/demo.toml "$@" ;; esac
    file="$1" && shift
    # Every stage reads its part of the file before the first one works for hours.
    for stage in data-prep feature-extract head-train; do
        "{{ bin }}/$stage" --pipeline "$file" "$@" --check
    done
    for stage in data-prep feature-extract head-train; do
        echo "== $stage --pipeline $file $*" >&2
        "{{ bin }}/$stage" --pipeline "$file" "$@"
    done

# Link a folder that holds cifar10/ and models/ as data/local, where the pipelines look
data FOLDER:
    #!/usr/bin/env bash
    set -euo pipefail
    for part in cifar10 models; do
        if [ ! -d "$1/$part" ]; then
            echo "just data: there is no $part/ in $1; expected a folder with cifar10/ and models/" >&2
            exit 66
        fi
    done
    ln -sfn "$(realpath "$1")" data/local
    echo "data/local is now $1" >&2

# Run all tests
test *ARGS: setup
    cargo test --workspace "$@"

# Check formatting and lints
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --quiet -- --deny warnings

# What CI runs
ci: lint test
