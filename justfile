# The only orchestrator: `just` lists what there is, `just pipeline` runs the demo.

set shell := ["bash", "-euo", "pipefail", "-c"]

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
    {{ bin }}/data-prep --pipeline {{ quote(FILE) }} {{ ARGS }}
    {{ bin }}/feature-extract --pipeline {{ quote(FILE) }} {{ ARGS }}
    {{ bin }}/head-train --pipeline {{ quote(FILE) }} {{ ARGS }}

# Link a folder that holds cifar10/ and models/ as data/local, where the pipelines look
data FOLDER:
    #!/usr/bin/env bash
    set -euo pipefail
    for part in cifar10 models; do
        if [ ! -d {{ quote(FOLDER) }}/$part ]; then
            echo "just data: there is no $part/ in {{ FOLDER }}; expected a folder with cifar10/ and models/" >&2
            exit 66
        fi
    done
    ln -sfn "$(realpath {{ quote(FOLDER) }})" data/local
    echo "data/local is now {{ FOLDER }}" >&2

# Run all tests
test *ARGS: setup
    cargo test --workspace {{ ARGS }}

# Check formatting and lints
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --quiet -- --deny warnings

# What CI runs
ci: lint test
