"""Are our completions those of transformers, token for token?

Command   python tests/peers/generation_parity.py MODEL_FOLDER EXPECTED.json [--batches 1,8]   (after `just build`)
Needs     Python alone; EXPECTED.json as `expected_generation.py` writes it, from the weights that MODEL_FOLDER was
          exported from, or the simpler form {"prompts": [{"prompt", "input_ids", "greedy_ids"}]}.
Output    a line for each run and batch size, and a count; exits with 1 if anything differs.

What generate() was given travels in generation_config.json, in a copy of the model's folder made of links.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = ROOT / "target" / "release"


def simple(data):
    """The form with greedy ids beside each prompt."""
    new = data["new_tokens"]
    run = {"name": "greedy", "generate": {"max_new_tokens": new}, "records": [{"ids": [p["greedy_ids"]]} for p in data["prompts"]]}
    return {"prompts": [{"text": p["prompt"], "input_ids": p["input_ids"]} for p in data["prompts"]], "runs": [run]}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("expected", type=pathlib.Path)
    parser.add_argument("--batches", default="1,8")
    args = parser.parse_args()
    data = json.loads(args.expected.read_text())
    data = data if "runs" in data else simple(data)
    same = total = 0
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        lines = [json.dumps({"key": i, "text": p["text"]}, ensure_ascii=False) for i, p in enumerate(data["prompts"])]
        (scratch / "prompts.jsonl").write_text("\n".join(lines) + "\n")
        subprocess.run([BIN / "data-prep", "--input", scratch / "prompts.jsonl", "--id-field", "key", "--tokenizer", args.model,
                        "--run", scratch / "run", "--quiet"], check=True, stdout=subprocess.DEVNULL)
        for number, run in enumerate(data["runs"]):
            settings = dict(run["generate"])
            folder = scratch / f"model-{number}"
            folder.mkdir()
            for file in args.model.resolve().iterdir():
                if file.name != "generation_config.json":
                    (folder / file.name).symlink_to(file)
            ignores_end = settings.get("eos_token_id") is None
            (folder / "generation_config.json").write_text(json.dumps({k: v for k, v in settings.items() if v is not None}))
            for batch in args.batches.split(","):
                command = [BIN / "generate", "--model", folder, "--run", scratch / "run", "--out", scratch / f"out-{number}-{batch}",
                           "--batch", batch, "--jsonl", "--quiet"] + ["--ignore-eos"] * ignores_end
                output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                found = {}
                for row in map(json.loads, output.splitlines()):
                    found.setdefault(int(row["id"]), []).append(row["token_ids"])
                equal = [found[i] == record["ids"] for i, record in enumerate(run["records"])]
                same, total = same + sum(equal), total + len(equal)
                print(f"{run['name']:32} batch {batch}: {sum(equal)} of {len(equal)} prompts the same"
                      + ("" if all(equal) else f", not {[i for i, e in enumerate(equal) if not e]}"))
    print(f"{same} of {total} the same")
    return 0 if same == total else 1


if __name__ == "__main__":
    sys.exit(main())
