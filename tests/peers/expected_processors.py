#!/usr/bin/env python3
"""Makes crates/decoding/tests/it/transformers.json: what transformers' own classes and its own `generate` decide.

    HF_HUB_OFFLINE=1 python tests/peers/expected_processors.py TOKENIZER_JSON

Needs torch 2.15.0 and transformers 5.23.0, and GPT-2's own tokenizer.json for the stop strings. Deterministic; run it
again only to add a case. The file lists

  provenance    versions and the random seed
  vocabularies  score vectors by name, three decimals each, which Rust reads as the same float32; null is -inf
  processors    parameters, tokens, prompt length and scores -> the scores after GenerationMixin's own list of processors
  warpers       sampling parameters and scores -> the ids that stay and their probabilities
  log_softmax   a vector's torch.log_softmax at a few tokens
  table         a table [vocab, vocab]: a model that needs no network, see Table below
  beams         settings -> what generate(num_beams=…) returns on that model: tokens and score, best first
  stop_strings  tokens' bytes and stop strings -> StopStringCriteria's verdict
  draws         keys -> tokens, by a second implementation of what src/draw.rs and src/warp.rs say (transformers has none)
"""

import json
import pathlib
import platform
import random
import struct
import sys

import numpy as np
import torch
import transformers
from transformers import GenerationConfig, GenerationMixin, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast
from transformers.generation import utils as generation
from transformers.generation.stopping_criteria import StoppingCriteria, StoppingCriteriaList, StopStringCriteria
from transformers.modeling_outputs import CausalLMOutput

assert transformers.__version__ == "5.23.0", transformers.__version__
assert torch.__version__.startswith("2.15.0"), torch.__version__
REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
OUT = REPOSITORY / "crates/decoding/tests/it/transformers.json"
SEED = 20240607
rng = np.random.default_rng(SEED)
random.seed(SEED)
torch.set_num_threads(1)


def thousandths(values):
    """Numbers with three decimals: short in JSON, and the same float32 in both languages."""
    return np.round(np.asarray(values, dtype=np.float64), 3)


def shown(values):
    """For JSON: -inf is null, anything else the shortest decimal of its float32."""
    return [None if v == -np.inf else float(np.format_float_positional(np.float32(v), unique=True)) for v in values]


def tensor(values):
    return torch.tensor(np.asarray(values), dtype=torch.float32)


class TableConfig(PretrainedConfig):
    model_type = "table"

    def __init__(self, vocab_size=40, **rest):
        self.vocab_size, self.num_hidden_layers, self.hidden_size, self.num_attention_heads = vocab_size, 1, 4, 1
        super().__init__(**rest)


class Table(PreTrainedModel, GenerationMixin):
    """The next token's logits are the last token's row of a table, half the row of the one before it (of the last
    again where there is one alone) and a quarter of the row of the length, without which many sequences would tie.
    The test has the same formula."""

    config_class = TableConfig
    main_input_name = "input_ids"

    def __init__(self, config, table):
        super().__init__(config)
        self.table = torch.nn.Parameter(table, requires_grad=False)

    def forward(self, input_ids=None, attention_mask=None, return_dict=True, **_):
        before = torch.cat([input_ids[:, :1], input_ids[:, :-1]], 1)
        length = torch.arange(1, input_ids.shape[1] + 1) % len(self.table)
        return CausalLMOutput(logits=self.table[input_ids] + 0.5 * self.table[before] + 0.25 * self.table[length])


VOCAB = 40
EOS = [3, 7]
table = thousandths(rng.normal(0, 2, (VOCAB, VOCAB)))
table[:, EOS] += 1.5  # So that sequences end at many lengths.
table = thousandths(table)
model = Table(TableConfig(VOCAB), tensor(table))

vocabularies = {
    "normal": thousandths(rng.normal(0, 3, 48)),
    "peaked": thousandths(np.concatenate([[14.0], rng.normal(0, 1, 47)])),
    "coarse": np.round(rng.normal(0, 2, 48)),  # Whole numbers: many ties.
    "equal": np.full(40, 1.25),
    "holes": thousandths(np.where(rng.random(48) < 0.6, -np.inf, rng.normal(0, 2, 48))),
    "one_left": np.where(np.arange(40) == 17, -4.5, -np.inf),
    "extreme": thousandths(rng.normal(0, 60, 44)),
    "wide": thousandths(rng.normal(-30, 3, 1000)),
    "wide_flat": thousandths(rng.normal(0, 0.05, 1000)),
    "log_probabilities": thousandths(torch.log_softmax(tensor(rng.normal(0, 3, 48)), -1).numpy()),
}


def config(sample, given, eos):
    made = GenerationConfig(do_sample=sample, eos_token_id=eos or None, top_k=None, **given)
    model._prepare_special_tokens(made, device="cpu")
    return made


def processors():
    walk = [5, 9, 2, 5, 9, 11, 30, 5, 9]
    prompt = 4
    plain = dict(scores="normal", tokens=walk, prompt_len=prompt, eos=EOS)
    asked = [
        ("nothing", {}, {}),
        ("repetition 1.3", dict(repetition_penalty=1.3), {}),
        ("repetition 0.7", dict(repetition_penalty=0.7), {}),
        ("repetition on log-probabilities", dict(repetition_penalty=1.8), dict(scores="log_probabilities")),
        ("repetition with banned tokens", dict(repetition_penalty=2.0), dict(scores="holes", tokens=list(range(48)))),
        ("repetition, tokens past the vocabulary", dict(repetition_penalty=1.5), dict(tokens=[5, 48, 60, 9])),
        ("1-gram", dict(no_repeat_ngram_size=1), {}),
        ("2-gram", dict(no_repeat_ngram_size=2), {}),
        ("3-gram", dict(no_repeat_ngram_size=3), {}),
        ("4-gram", dict(no_repeat_ngram_size=4), {}),
        ("n-gram longer than the tokens", dict(no_repeat_ngram_size=10), {}),
        ("n-gram of all the tokens", dict(no_repeat_ngram_size=9), {}),
        ("2-gram in a run", dict(no_repeat_ngram_size=2), dict(tokens=[8, 8, 8])),
        ("2-gram, one token", dict(no_repeat_ngram_size=2), dict(tokens=[8], prompt_len=1)),
        ("bad words", dict(bad_words_ids=[[4], [9, 6], [5, 9, 10], [2, 9, 12], [9, 9]]), {}),
        ("bad word longer than the tokens", dict(bad_words_ids=[[1, 2, 3, 4], [1]]), dict(tokens=[2, 3], prompt_len=1)),
        ("an end token is never a bad word", dict(bad_words_ids=[[3], [7], [9, 3], [12]]), {}),
        ("min length reached", dict(min_length=9), {}),
        ("min length not reached", dict(min_length=10), {}),
        ("min new tokens reached", dict(min_new_tokens=5), {}),
        ("min new tokens not reached", dict(min_new_tokens=6), {}),
        ("min length, no end token", dict(min_length=99, min_new_tokens=99), dict(eos=[])),
        ("min length, one end token", dict(min_length=99), dict(eos=[7])),
        ("penalty and ban of the same token", dict(repetition_penalty=1.2, no_repeat_ngram_size=2), {}),
        (
            "all of them",
            dict(
                repetition_penalty=1.4,
                no_repeat_ngram_size=3,
                bad_words_ids=[[40], [9, 41], [3]],
                min_length=12,
                min_new_tokens=6,
            ),
            {},
        ),
        ("all of them, other eos", dict(repetition_penalty=0.9, no_repeat_ngram_size=2, min_new_tokens=6), dict(eos=[9])),
        ("wide", dict(repetition_penalty=1.1, no_repeat_ngram_size=2), dict(scores="wide", tokens=[999, 0, 999])),
    ]
    cases = []
    for name, given, other in asked:
        case = plain | other
        made = model._get_logits_processor(
            config(False, given, case["eos"]), input_ids_seq_length=case["prompt_len"], device="cpu"
        )
        scores = vocabularies[case["scores"]]
        after = made(torch.tensor([case["tokens"]]), tensor([scores]))[0].numpy()
        before = np.asarray(scores, np.float32)
        changed = [i for i in range(len(before)) if before[i] != after[i]]
        cases.append(dict(name=name, parameters=given, changed=dict(zip(map(str, changed), shown(after[changed])))) | case)
    return cases


def warpers():
    asked = [
        dict(),
        dict(temperature=0.7),
        dict(temperature=3.0),
        dict(top_k=1),
        dict(top_k=5),
        dict(top_k=50),
        dict(top_p=0.0),
        dict(top_p=0.3),
        dict(top_p=0.5),
        dict(top_p=0.9),
        dict(top_p=0.95),
        dict(top_p=0.999),
        dict(min_p=0.05),
        dict(min_p=0.5),
        dict(min_p=1.0),
        dict(typical_p=0.2),
        dict(typical_p=0.5),
        dict(typical_p=0.95),
        dict(temperature=0.8, top_k=20, top_p=0.9),
        dict(temperature=1.4, top_k=30, min_p=0.02),
        dict(top_p=0.9, typical_p=0.6),
        dict(temperature=1.3, top_k=25, top_p=0.95, min_p=0.03, typical_p=0.9),
    ]
    cases = []
    for name, scores in vocabularies.items():
        for given in asked:
            arguments = {"temperature": 1.0} | given
            made = GenerationConfig(do_sample=True, **({"top_k": 0} | arguments))
            model._prepare_special_tokens(made, device="cpu")
            list_ = model._get_logits_processor(made, input_ids_seq_length=1, device="cpu")
            after = list_(torch.tensor([[0]]), tensor([scores]))[0]
            p = torch.softmax(after, -1).numpy()
            kept = np.flatnonzero(p > 1e-36)  # Below lie float32's subnormal numbers, which ours takes for 0.
            # Long lists would fill the file: of those their number.
            ps = [float(f"{v:.7g}") for v in p[kept]] if len(kept) <= 60 else None
            kept_ids = kept.tolist() if len(kept) <= 60 else len(kept)
            cases.append(dict(scores=name, sampling=given, kept=kept_ids, probabilities=ps, largest=float(f"{p.max():.7g}")))
    return cases


def log_softmax():
    cases = []
    for name, scores in vocabularies.items():
        value = torch.log_softmax(tensor(scores), -1).numpy()
        at = [0, 17, len(scores) - 1]
        cases.append(dict(scores=name, tokens=at, expected=shown(value[at])))
    return cases


class EndsAt(StoppingCriteria):
    """A row is done when its tokens end with any of these: what a stop string is to a beam."""

    def __init__(self, tails):
        self.tails = tails

    def __call__(self, input_ids, scores, **_):
        ended = [any(row[-len(t) :] == t for t in self.tails) for row in input_ids.tolist()]
        return torch.tensor(ended)


def beams():
    # transformers takes num_beams=1 for greedy; its beam search runs with 1 beam as well when asked directly.
    mode = generation.GenerationMode.BEAM_SEARCH
    GenerationConfig.get_generation_mode = lambda self, *_: mode
    prompts = [[11], [5, 9, 2], [20, 21, 22, 23, 20]]
    kinds = [False, True, "never"]
    asked = []
    for n in range(1, 6):
        for kind in kinds:
            for penalty in (1.0, 0.0, -0.7, 2.5):
                asked.append(dict(num_beams=n, early_stopping=kind, length_penalty=penalty, eos=EOS[:1]))
    for n in (2, 4, 5):
        for kind in kinds:
            asked.append(dict(num_beams=n, early_stopping=kind, eos=EOS))
            asked.append(dict(num_beams=n, early_stopping=kind, eos=[]))
            asked.append(dict(num_beams=n, early_stopping=kind, eos=EOS, min_new_tokens=5))
            asked.append(dict(num_beams=n, early_stopping=kind, eos=EOS[:1], min_length=9))
            asked.append(dict(num_beams=n, early_stopping=kind, eos=EOS, repetition_penalty=1.4))
            asked.append(dict(num_beams=n, early_stopping=kind, eos=EOS[1:], repetition_penalty=0.8, no_repeat_ngram_size=2))
            asked.append(dict(num_beams=n, early_stopping=kind, eos=EOS, no_repeat_ngram_size=1))
            asked.append(dict(num_beams=n, early_stopping=kind, eos=EOS[:1], bad_words_ids=[[4], [30], [25, 12]]))
            asked.append(dict(num_beams=n, early_stopping=kind, eos=EOS[:1], stop_tails=[[8], [25], [12, 19]]))
            asked.append(dict(num_beams=n, early_stopping=kind, eos=[], stop_tails=[[t] for t in range(0, 40, 3)]))
            asked.append(dict(num_beams=n, early_stopping=kind, eos=EOS[:1], max_new_tokens=1))
            asked.append(dict(num_beams=n, early_stopping=kind, eos=EOS, max_new_tokens=40, length_penalty=1.6))
            asked.append(dict(num_beams=n, early_stopping=kind, eos=EOS, max_new_tokens=40, length_penalty=-0.3))
            asked.append(dict(num_beams=n, early_stopping=kind, eos=[15, 28, 36], max_new_tokens=30))
            # So many rows end at once that how many candidates there are decides when it is over.
            asked.append(dict(num_beams=n, early_stopping=kind, eos=EOS, stop_tails=[[t] for t in range(40) if t % 8]))
            asked.append(dict(num_beams=n, early_stopping=kind, eos=EOS, stop_tails=[[t] for t in range(40) if t % 4]))
    cases = []
    for number, case in enumerate(asked):
        prompt = prompts[number % len(prompts)]
        given = {"max_new_tokens": 12, "length_penalty": 1.0} | case
        arguments = {k: v for k, v in given.items() if k not in ("eos", "stop_tails")}
        tails = given.get("stop_tails", [])
        out = model.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            do_sample=False,
            eos_token_id=given["eos"] or None,
            pad_token_id=0,
            use_cache=False,
            num_return_sequences=given["num_beams"],
            stopping_criteria=StoppingCriteriaList([EndsAt(tails)] if tails else []),
            return_dict_in_generate=True,
            output_scores=True,
            output_logits=True,
            **arguments,
        )
        lengths = (out.beam_indices != -1).sum(-1).tolist()
        best = [
            dict(tokens=row[len(prompt) : len(prompt) + n], score=float(f"{score:.8g}"))
            for row, n, score in zip(out.sequences.tolist(), lengths, out.sequences_scores.tolist())
        ]
        cases.append(dict(prompt=prompt, settings=given, steps=len(out.scores), best=best))
    return cases


def stop_strings():
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=sys.argv[1])
    to_byte = {c: b for b, c in transformers.convert_slow_tokenizer.bytes_to_unicode().items()}
    lists = [["stop"], ["\n\n"], [".\n", "END"], ["aa"], ["天气"], ["e"], ["The end.", "he e"], ["的"]]
    pieces = ["st", "op", "stop", "opera", "sto", "pper", " las", "topper", "s", "to", "pped", "\n", "\n\n", ".", ".\n", "E"]
    pieces += ["ND", "END", "a", "aa", "aaa", "aaaa", "b", "天", "气", "的", "The", " end", " e", "nd", "he", " ", "."]
    ids = [i for piece in pieces for i in tokenizer.encode(piece, add_special_tokens=False)]
    cases = []
    for stops in lists:
        criterion = StopStringCriteria(tokenizer, stops)
        related = [i for s in stops for i in tokenizer.encode(s + s, add_special_tokens=False)] * 6
        found = {True: 0, False: 0}
        while min(found.values()) < 9:
            row = [random.choice(related + ids) for _ in range(random.randint(1, 7))]
            verdict = bool(criterion(torch.tensor([row]), None)[0])
            if found[verdict] >= 9:
                continue
            found[verdict] += 1
            tokens = [bytes(to_byte[c] for c in t).hex() for t in tokenizer.convert_ids_to_tokens(row)]
            cases.append(dict(stops=stops, tokens=tokens, stopped=verdict))
    return cases


def blake3(data):
    """BLAKE3 of at most one block, from its paper (O'Connor, Aumasson, Neves, Wilcox-O'Hearn 2020)."""
    iv = [0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19]
    order = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8]
    columns = [(0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15)]
    diagonals = [(0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)]
    assert len(data) <= 64
    words = list(struct.unpack("<16I", data.ljust(64, b"\0")))
    s = iv + iv[:4] + [0, 0, len(data), 1 | 2 | 8]
    for _ in range(7):
        for i, (a, b, c, d) in enumerate(columns + diagonals):
            for word, left, right in [(words[2 * i], 16, 12), (words[2 * i + 1], 8, 7)]:
                s[a] = (s[a] + s[b] + word) & 0xFFFFFFFF
                s[d] = ((s[d] ^ s[a]) >> left | (s[d] ^ s[a]) << (32 - left)) & 0xFFFFFFFF
                s[c] = (s[c] + s[d]) & 0xFFFFFFFF
                s[b] = ((s[b] ^ s[c]) >> right | (s[b] ^ s[c]) << (32 - right)) & 0xFFFFFFFF
        words = [words[p] for p in order]
    return struct.pack("<8I", *[s[i] ^ s[i + 8] for i in range(8)])


def draws():
    keys = [["a", 0, 0], ["a", 0, 1], ["a", 1, 0], ["b", 0, 0], ["天气", 2, 49], ["", 2**32 - 1, 2**32 - 1]]
    scores = tensor(vocabularies["wide"]).numpy()
    cases = []
    for seed, given in [(0, {}), (2**64 - 1, {}), (7, dict(top_k=50)), (7, dict(temperature=0.7, top_p=0.9))]:
        p = np.exp((scores - scores.max()) / given.get("temperature", 1.0), dtype=np.float64)
        if "top_k" in given:
            p[scores < np.sort(scores)[-given["top_k"]]] = 0
        if "top_p" in given:
            best = np.lexsort((np.arange(len(p)), -scores))
            mass = np.cumsum(p[best]) / p.sum()
            p[best[np.searchsorted(mass, given["top_p"]) + 1 :]] = 0
        mass = np.cumsum(p) / p.sum()
        drawn = []
        for id_, sequence, step in keys:
            digest = blake3(struct.pack("<QII", seed, sequence, step) + id_.encode())
            uniform = ((struct.unpack("<Q", digest[:8])[0] >> 12) + 0.5) / 2**52
            drawn.append(int(np.searchsorted(mass, uniform, side="right")))
        cases.append(dict(seed=seed, sampling=given, scores="wide", keys=keys, drawn=drawn))
    return cases


made = {
    "provenance": {
        "script": "tests/peers/expected_processors.py",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "seed": SEED,
    },
    "vocabularies": {name: shown(v) for name, v in vocabularies.items()},
    "processors": processors(),
    "warpers": warpers(),
    "log_softmax": log_softmax(),
    "table": [shown(row) for row in table],
    "beams": beams(),
    "stop_strings": stop_strings(),
    "draws": draws(),
}
lines = []
for key, value in made.items():
    if isinstance(value, list) and key != "log_softmax":
        body = ",\n".join(json.dumps(v, ensure_ascii=False, separators=(",", ":")) for v in value)
        lines.append(f"{json.dumps(key)}: [\n{body}\n]")
    else:
        lines.append(f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False, separators=(',', ':'))}")
OUT.write_text("{\n" + ",\n".join(lines) + "\n}\n")
print(f"{OUT}: {OUT.stat().st_size} bytes", {k: len(v) for k, v in made.items()})
