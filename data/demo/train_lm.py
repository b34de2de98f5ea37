"""Trains the embedded default language model: a small GPT-2 on the plays of tinyshakespeare, on a CPU.

Command   python data/demo/train_lm.py [TEXT] --optimum OPTIMUM_CLI      (from the repository root)
Needs     pip install torch==2.15.0 transformers==5.23.0 tokenizers==0.23.3 onnx==1.23.2 onnxruntime==1.32.0
          For the export a second environment, because optimum-onnx wants transformers 4:
          pip install torch==2.15.0 onnx==1.23.2 onnxruntime==1.32.0 optimum==2.1.0 optimum-onnx==0.1.0
          transformers==4.57.6 accelerate==1.15.0
Input     TEXT, plain UTF-8. Default data/local/text/tinyshakespeare.txt. The last 10 % of it are held out.
Output    lm/model.onnx, tokenizer.json, config.json and generation_config.json beside this file;
          the PyTorch weights with their tokenizer in the folder --weights.
Expected  `Step [7000/7000], Loss: 2.9464, Validation loss: 3.4157 nats/token, 2.1834 bits/byte`, and at the end the
          same validation loss of the weights as saved.
Duration  0.23 s a step on one idle core with AVX512-BF16, so about 27 minutes; 36 beside other builds.
Seed      1337 (weights, choice of passages, dropout). The bytes also depend on the number of threads and on the
          processor, because both change the order in which floats are added.

The schedule is fixed in advance and the weights after the last step are the ones exported: the validation loss that
is printed along the way selects nothing. The text is one running stream: nothing in it marks the end of a play, so
the end token never occurs in training and the model never says it has finished.
"""

import argparse
import json
import math
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import GPT2Config, GPT2LMHeadModel
from transformers.utils import logging

HERE = Path(__file__).resolve().parent
TEXT = Path("data/local/text/tinyshakespeare.txt")

SEED = 1337
N_THREADS = 1
HELD_OUT = 0.1  # of the characters, at the end
VOCABULARY = 1024  # 256 bytes, 767 merges and the end token
END = "<|endoftext|>"  # begins and ends, as in GPT-2; id 0
N_LAYERS, N_HEADS, WIDTH, CONTEXT = 4, 4, 128, 256
DROPOUT = 0.1  # of embeddings and residual branches; attention weights are not dropped, which keeps its kernel fused
N_STEPS = 7000
BATCH_SIZE = 8  # passages of CONTEXT tokens: 2,048 tokens a step, 35 times the training text in all
PEAK_LEARNING_RATE = 2e-3
FINAL_LEARNING_RATE = 1e-4
N_WARMUP = 200  # steps, linear
BETAS = (0.9, 0.99)  # 0.99 because a step sees few tokens
WEIGHT_DECAY = 0.1  # on matrices only, not on biases or LayerNorm
MAX_GRADIENT_NORM = 1.0
REPORT_EVERY = 250  # steps


def train_tokenizer(text, vocabulary=VOCABULARY):
    """A byte-level BPE tokenizer put together as GPT-2's: any text can be encoded, and comes back unchanged."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(text.splitlines(keepends=True), trainer)
    return tokenizer


def untrained(tokenizer):
    end = tokenizer.token_to_id(END)
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=tokenizer.get_vocab_size(),
            n_positions=CONTEXT,
            n_embd=WIDTH,
            n_layer=N_LAYERS,
            n_head=N_HEADS,
            resid_pdrop=DROPOUT,
            embd_pdrop=DROPOUT,
            attn_pdrop=0.0,
            bos_token_id=end,
            eos_token_id=end,
        )
    )


def learning_rate(step, n_steps):
    """Linear warm-up, then half a cosine down to the final rate."""
    if step < N_WARMUP:
        return PEAK_LEARNING_RATE * (step + 1) / N_WARMUP
    cosine = 0.5 * (1 + math.cos(math.pi * (step - N_WARMUP) / max(1, n_steps - N_WARMUP)))
    return FINAL_LEARNING_RATE + (PEAK_LEARNING_RATE - FINAL_LEARNING_RATE) * cosine


@torch.inference_mode()
def validation_loss(network, tokens):
    """Mean nats per token over `tokens`, cut into passages of CONTEXT tokens; each passage starts without a past."""
    network.eval()
    total, count = 0.0, 0
    for start in range(0, len(tokens) - 1, CONTEXT):
        passage = tokens[start : start + CONTEXT + 1]
        logits = network(passage[None, :-1]).logits[0]
        total += F.cross_entropy(logits, passage[1:], reduction="sum").item()
        count += len(passage) - 1
    return total / count


def in_words(nats, bytes_per_token):
    return f"Validation loss: {nats:.4f} nats/token, {nats / math.log(2) / bytes_per_token:.4f} bits/byte"


def train(tokenizer, train_tokens, held_out, bytes_per_token, n_steps, folder):
    torch.manual_seed(SEED)
    network = untrained(tokenizer)
    decayed = [p for p in network.parameters() if p.ndim > 1]
    undecayed = [p for p in network.parameters() if p.ndim <= 1]
    optimiser = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": WEIGHT_DECAY}, {"params": undecayed, "weight_decay": 0.0}],
        lr=PEAK_LEARNING_RATE,
        betas=BETAS,
    )
    n_parameters = sum(p.numel() for p in network.parameters())
    print(f"{n_parameters} parameters, {len(train_tokens)} training and {len(held_out)} validation tokens, "
          f"{bytes_per_token:.3f} bytes per validation token", flush=True)

    generator = torch.Generator().manual_seed(SEED)
    started, loss_sum = time.monotonic(), 0.0
    for step in range(n_steps):
        network.train()
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, n_steps)
        starts = torch.randint(0, len(train_tokens) - CONTEXT, (BATCH_SIZE, 1), generator=generator)
        passages = train_tokens[starts + torch.arange(CONTEXT + 1)]
        # bfloat16 arithmetic with float32 weights: faster than float32 on a processor with AVX512-BF16 or AMX.
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(passages[:, :-1], use_cache=False).logits
        loss = F.cross_entropy(logits.float().flatten(0, 1), passages[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), MAX_GRADIENT_NORM)
        optimiser.step()
        loss_sum += loss.item()
        if (step + 1) % REPORT_EVERY == 0 or step + 1 == n_steps:
            n_summed = (step % REPORT_EVERY) + 1
            nats = validation_loss(network, held_out)
            print(f"Step [{step + 1}/{n_steps}], Loss: {loss_sum / n_summed:.4f}, "
                  f"{in_words(nats, bytes_per_token)}, {time.monotonic() - started:.0f} s", flush=True)
            loss_sum = 0.0
            save(network, tokenizer, folder)
    return network.eval()


def save(network, tokenizer, folder):
    """A folder that transformers reads: weights, config.json, generation_config.json, tokenizer.json."""
    folder.mkdir(parents=True, exist_ok=True)
    network.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    ends = {"bos_token": END, "eos_token": END, "model_max_length": CONTEXT}
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", **ends})
    # Only the end token: no sampling settings or penalties that a caller would not expect.
    end = tokenizer.token_to_id(END)
    write_json(folder / "generation_config.json", {"bos_token_id": end, "eos_token_id": end})


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2) + "\n")


def export(optimum, folder, out):
    """Runs optimum on the trained folder and keeps what a model folder needs; the tokenizer is copied as trained."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        task = ["--task", "text-generation-with-past"]
        subprocess.run([optimum, "export", "onnx", *task, "--model", str(folder), scratch], check=True)
        shutil.copy(Path(scratch) / "model.onnx", out / "model.onnx")
    onnx.checker.check_model(out / "model.onnx", full_check=True)
    for name in ["tokenizer.json", "generation_config.json"]:
        shutil.copy(folder / name, out / name)
    write_json(out / "config.json", json.loads((folder / "config.json").read_text()))


@torch.inference_mode()
def largest_difference(network, path, tokens):
    """Largest difference of the logits to torch: all at once, and the second half from the first half's cache."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    expected = network(tokens[None]).logits.numpy()
    outputs = [output.name for output in session.get_outputs()]

    def run(first, last, past):
        feeds = {
            "input_ids": tokens[None, first:last].numpy(),
            "attention_mask": np.ones((1, last), np.int64),
            "position_ids": np.arange(first, last)[None],
            **past,
        }
        results = dict(zip(outputs, session.run(outputs, feeds)))
        past = {name.replace("present", "past_key_values"): v for name, v in results.items() if name != "logits"}
        return results["logits"], past

    empty = np.zeros((1, N_HEADS, 0, WIDTH // N_HEADS), np.float32)
    empty = {i.name: empty for i in session.get_inputs() if i.name.startswith("past_key_values")}
    middle, n = len(tokens) // 2, len(tokens)
    at_once, _ = run(0, n, empty)
    first, past = run(0, middle, empty)
    second, _ = run(middle, n, past)
    in_two = np.concatenate([first, second], axis=1)
    return max(np.abs(at_once - expected).max(), np.abs(in_two - expected).max())


def main():
    parser = argparse.ArgumentParser(description="Train the embedded default language model on tinyshakespeare.")
    parser.add_argument("text", nargs="?", type=Path, default=TEXT, metavar="TEXT")
    parser.add_argument("--out", type=Path, default=HERE / "lm", help="folder for the exported files [lm beside this]")
    parser.add_argument("--weights", type=Path, default=Path("data/local/demo-lm"), help="folder of trained weights")
    parser.add_argument("--export-only", action="store_true", help="read --weights instead of training")
    parser.add_argument("--optimum", default="optimum-cli", help="the program that exports [optimum-cli]")
    parser.add_argument("--steps", type=int, default=N_STEPS, help=f"optimiser steps [{N_STEPS}]")
    args = parser.parse_args()
    torch.set_num_threads(N_THREADS)
    logging.disable_progress_bar()

    text = args.text.read_text(encoding="utf-8")
    cut = len(text) - int(len(text) * HELD_OUT)
    if args.export_only:
        tokenizer = Tokenizer.from_file(str(args.weights / "tokenizer.json"))
    else:
        tokenizer = train_tokenizer(text[:cut])
    train_tokens = torch.tensor(tokenizer.encode(text[:cut]).ids)
    held_out = torch.tensor(tokenizer.encode(text[cut:]).ids)
    if tokenizer.decode(held_out.tolist()) != text[cut:]:
        raise SystemExit("the tokenizer does not give the validation text back")
    bytes_per_token = len(text[cut:].encode()) / len(held_out)
    if not args.export_only:
        train(tokenizer, train_tokens, held_out, bytes_per_token, args.steps, args.weights)
    network = GPT2LMHeadModel.from_pretrained(args.weights, dtype=torch.float32).eval()

    export(args.optimum, args.weights.resolve(), args.out)
    path = args.out / "model.onnx"
    difference = largest_difference(network, path, held_out[:CONTEXT])
    print(f"{path.name}: {path.stat().st_size} bytes, largest difference to torch {difference:.1e}")
    nats = validation_loss(network, held_out)
    print(in_words(nats, bytes_per_token))
    if not difference < 1e-4:
        raise SystemExit("the exported model does not agree with torch within 1e-4")


if __name__ == "__main__":
    main()
