"""What transformers' generate() gives for a GPT-2 with PyTorch weights: greedy and beam search with their processors.

Command   python tests/peers/expected_generation.py MODEL_FOLDER OUT.json [--end-token ID]
Needs     pip install torch==2.15.0 transformers==5.23.0 tokenizers==0.23.3
Input     MODEL_FOLDER with model.safetensors, config.json and tokenizer.json.
          data/demo/lm/expected.json is made from the folder that `data/demo/train_lm.py --weights` wrote, with
          `--end-token 14` (the full stop): some sequences end and some do not.
Output    OUT.json:
          versions, model (facts of the weights), end_token_id (of the runs that have an end),
          prompts: [{text, input_ids}],
          runs: [{name, generate: the arguments of generate(), records: one per prompt, in order}],
          record: ids (a list per returned sequence: new tokens only, the end token included, padding cut off),
          float64_same (whether the same weights in float64 give the same ids: where true, a difference is no rounding),
          and for beams scores (`sequences_scores`), for greedy margin (the smallest distance between the best and
          the second score along the path, after the processors) and logprobs (log-softmax of those scores).
Seed      none: nothing is drawn. The prompts run one at a time, so there is no padding.

Without --end-token the end is the token that occurs late (from the fourth position on) in the plain greedy
continuations of most prompts, which makes ends happen in a model with random weights too.
"""

import argparse
import collections
import hashlib
import json
import platform
from pathlib import Path

import tokenizers
import torch
import transformers
from transformers import GenerationConfig, GPT2LMHeadModel

ALWAYS = {"do_sample": False, "pad_token_id": 0, "max_new_tokens": 48}
PROMPTS = [
    "O",
    "ROMEO:",
    "JULIET: My lord,",
    "今天天气不错,",
    "First Citizen:\nBefore we proceed any further, hear me speak.",
    "KING RICHARD III:\nNow, by the world, I do not know the man",
    "GLOUCESTER:\nNow is the winter of our discontent\nMade glorious summer by this sun of York;\n"
    "And all the clouds that lour'd upon our house\n",
]


def plan(end, greedy):
    """(name, arguments of generate) of every run. `greedy`: the plain continuation of the second prompt, to forbid."""
    forbidden = [[greedy[2]], greedy[5:7], greedy[8:11]]
    beams = {"num_beams": 4, "length_penalty": 1.0, "early_stopping": False}
    return [
        ("greedy", {}),
        ("greedy_end", {"eos_token_id": end}),
        ("greedy_repetition_penalty", {"repetition_penalty": 1.3}),
        ("greedy_no_repeat_ngram", {"no_repeat_ngram_size": 3}),
        ("greedy_bad_words", {"bad_words_ids": forbidden}),
        ("greedy_min_new_tokens", {"eos_token_id": end, "min_new_tokens": 12}),
        ("greedy_min_length", {"eos_token_id": end, "min_length": 24}),
        (
            "greedy_all",
            {
                "eos_token_id": end,
                "repetition_penalty": 1.1,
                "no_repeat_ngram_size": 2,
                "bad_words_ids": forbidden,
                "min_new_tokens": 6,
            },
        ),
        ("beams_4", beams),
        ("beams_4_end", {**beams, "eos_token_id": end}),
        ("beams_4_never", {**beams, "early_stopping": "never", "eos_token_id": end}),
        ("beams_4_never_long", {**beams, "early_stopping": "never", "length_penalty": 2.0, "eos_token_id": end}),
        ("beams_4_short", {**beams, "length_penalty": -0.5, "eos_token_id": end}),
        (
            "beams_3_return_3",
            {
                "num_beams": 3,
                "length_penalty": 0.7,
                "early_stopping": True,
                "num_return_sequences": 3,
                "eos_token_id": end,
            },
        ),
        (
            "beams_3_return_2_processors",
            {
                "num_beams": 3,
                "num_return_sequences": 2,
                "eos_token_id": end,
                "repetition_penalty": 1.2,
                "no_repeat_ngram_size": 3,
                "bad_words_ids": forbidden,
                "min_new_tokens": 8,
            },
        ),
    ]


@torch.inference_mode()
def generate(model, input_ids, arguments):
    """One prompt alone. The ids of each returned sequence, and the raw output."""
    prompt = torch.tensor([input_ids])
    output = model.generate(
        prompt,
        attention_mask=torch.ones_like(prompt),
        return_dict_in_generate=True,
        output_scores=True,
        **arguments,
    )
    end = arguments.get("eos_token_id")
    sequences = []
    for row in output.sequences[:, len(input_ids) :].tolist():
        sequences.append(row[: row.index(end) + 1] if end in row else row)
    return sequences, output


def record(model, exact, input_ids, arguments):
    ids, output = generate(model, input_ids, arguments)
    result = {"ids": ids, "float64_same": generate(exact, input_ids, arguments)[0] == ids}
    if "num_beams" in arguments:
        result["scores"] = [round(score, 6) for score in output.sequences_scores.tolist()]
    else:
        scores = torch.cat(output.scores).double()
        best = scores.topk(2).values
        logprobs = scores.log_softmax(dim=-1).gather(1, torch.tensor(ids[0])[:, None])[:, 0]
        result["margin"] = round((best[:, 0] - best[:, 1]).min().item(), 6)
        result["logprobs"] = [round(value, 6) for value in logprobs.tolist()]
    return result


def run(model, exact, prompts, name, arguments):
    """The records of all prompts under one set of arguments; prints what a reader of the file would ask first."""
    records = [record(model, exact, prompt["input_ids"], arguments) for prompt in prompts]
    sequences = [ids for r in records for ids in r["ids"]]
    n_ended = sum(ids[-1] == arguments.get("eos_token_id") for ids in sequences)
    margin = min((r["margin"] for r in records if "margin" in r), default=None)
    same = sum(r["float64_same"] for r in records)
    print(f"{name}: {len(sequences)} sequences, {n_ended} ended, float64 same in {same} of {len(records)}, "
          f"smallest margin {margin}", flush=True)
    return {"name": name, "generate": arguments, "records": records}


def provenance(folder, script):
    digests = {
        f"{name}_sha256": hashlib.sha256((folder / file).read_bytes()).hexdigest()
        for name, file in [("weights", "model.safetensors"), ("tokenizer", "tokenizer.json")]
    }
    versions = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "tokenizers": tokenizers.__version__,
    }
    return {"script": script, "versions": versions, "model": {**digests, "dtype": "float32", "device": "cpu"}}


def frequent_late_token(continuations):
    counts = collections.Counter(token for ids in continuations for token in set(ids[3:]) - set(ids[:3]))
    return min(counts, key=lambda token: (-counts[token], token))


def load(folder, dtype):
    model = GPT2LMHeadModel.from_pretrained(folder, dtype=dtype).eval()
    model.generation_config = GenerationConfig()  # only what a run says applies: no end token unless it names one
    return model


def main():
    parser = argparse.ArgumentParser(description="Write what transformers generates for a few prompts.")
    parser.add_argument("model", type=Path, help="folder with PyTorch weights and tokenizer.json")
    parser.add_argument("out", type=Path, help="JSON file, written")
    parser.add_argument("--end-token", type=int, help="end token of the runs that have one [a frequent one]")
    args = parser.parse_args()
    torch.set_num_threads(1)

    tokenizer = tokenizers.Tokenizer.from_file(str(args.model / "tokenizer.json"))
    prompts = [{"text": text, "input_ids": tokenizer.encode(text).ids} for text in PROMPTS]
    model, exact = load(args.model, torch.float32), load(args.model, torch.float64)
    plain = [generate(model, prompt["input_ids"], ALWAYS)[0][0] for prompt in prompts]
    end = frequent_late_token(plain) if args.end_token is None else args.end_token

    runs = [run(model, exact, prompts, name, {**ALWAYS, **arguments}) for name, arguments in plan(end, plain[1])]
    result = {**provenance(args.model, "tests/peers/expected_generation.py"), "end_token_id": end}
    result = {**result, "prompts": prompts, "runs": runs}
    args.out.write_text(to_json(result))


def to_json(value, indent=0):
    """JSON with lists of plain values on one line, so that a file of token ids stays readable and small."""
    if isinstance(value, dict) and value:
        inner = ",\n".join(" " * (indent + 1) + f"{json.dumps(k)}: {to_json(v, indent + 1)}" for k, v in value.items())
        text = "{\n" + inner + "\n" + " " * indent + "}"
    elif isinstance(value, list) and any(isinstance(v, dict) for v in value):
        inner = ",\n".join(" " * (indent + 1) + to_json(v, indent + 1) for v in value)
        text = "[\n" + inner + "\n" + " " * indent + "]"
    else:
        text = json.dumps(value, ensure_ascii=False)
    return text if indent else text + "\n"


if __name__ == "__main__":
    main()
