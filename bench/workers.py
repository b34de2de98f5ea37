"""The programs that `generate` is compared with, each in a process of its own (see peer.py).

Each has `generate(prompts, n_new)`: greedy, float32, no end token, all prompts of one length in one batch. It gives the
new ids and the seconds from the ids of the prompts to the last new id.
"""

import json
import time
from pathlib import Path

import peer
from peer import N_THREADS, Failure, versions_of

__all__ = ["N_THREADS", "PEERS", "Failure", "Worker"]


class Worker(peer.Peer):
    """A peer's process, seen from the benchmark."""

    def __init__(self, name, peers_home, work):
        python = peers_home / PEERS[name].environment / "bin" / "python"
        super().__init__(Path(__file__), name, python, work, {"models": peers_home / "models", "work": work})

    def generate(self, prompts, n_new):
        """The new ids, row by row, and tokens a second."""
        ids, seconds = self.ask("generate", prompts=prompts, n_new=n_new)
        return ids, len(prompts) * n_new / seconds


class Transformers:
    """GPT2LMHeadModel.generate of transformers, on torch."""

    title = "transformers generate"
    environment = "venv"

    def __init__(self, models, work):
        import torch
        from transformers import GPT2LMHeadModel

        torch.set_num_threads(N_THREADS)
        self.torch = torch
        self.model = GPT2LMHeadModel.from_pretrained(Path(models) / "gpt2-pt", dtype=torch.float32).eval()

    def versions(self):
        return versions_of("transformers", "torch")

    def generate(self, prompts, n_new):
        ids = self.torch.tensor(prompts)
        attended = self.torch.ones_like(ids)
        with self.torch.inference_mode():
            started = time.perf_counter()
            done = self.model.generate(
                ids,
                attention_mask=attended,
                max_new_tokens=n_new,
                do_sample=False,
                use_cache=True,
                eos_token_id=None,
                pad_token_id=50256,  # never used, but asked for
            )
            seconds = time.perf_counter() - started
        return done[:, ids.shape[1] :].tolist(), seconds


class Optimum(Transformers):
    """ORTModelForCausalLM of optimum-onnx: transformers' generate, with the network in ONNX Runtime."""

    title = "ORTModelForCausalLM"
    environment = "venv-opt"

    def __init__(self, models, work):
        import torch
        from optimum.onnxruntime import ORTModelForCausalLM

        torch.set_num_threads(N_THREADS)
        self.torch = torch
        # The folder also has fused and quantised graphs; the plain one is what the others run.
        self.model = ORTModelForCausalLM.from_pretrained(
            Path(models) / "gpt2",
            file_name="model.onnx",
            session_options=session_options(),
            use_cache=True,
            use_io_binding=True,
        )

    def versions(self):
        return versions_of("optimum-onnx", "transformers", "onnxruntime", "torch")


class BareLoop:
    """ONNX Runtime alone: the cache stays in its own buffers from step to step (IO binding), and argmax in numpy."""

    title = "bare onnxruntime, IO binding"
    environment = "venv"

    def __init__(self, models, work):
        import onnxruntime

        self.ort = onnxruntime
        path = Path(models) / "gpt2" / "model.onnx"
        self.session = onnxruntime.InferenceSession(path, session_options(), providers=["CPUExecutionProvider"])
        inputs = self.session.get_inputs()
        self.past = [i.name for i in inputs if i.name.startswith("past")]
        self.outputs = [o.name for o in self.session.get_outputs()]
        self.present = [name for name in self.outputs if name.startswith("present")]
        self.has_positions = any(i.name == "position_ids" for i in inputs)
        _, self.n_heads, _, self.head_dim = next(i.shape for i in inputs if i.name.startswith("past"))

    def versions(self):
        return versions_of("onnxruntime", "numpy")

    def generate(self, prompts, n_new):
        import numpy as np

        ids = np.array(prompts, np.int64)
        n_rows, n_prompt = ids.shape
        started = time.perf_counter()
        positions = np.tile(np.arange(n_prompt, dtype=np.int64), (n_rows, 1))
        empty = np.zeros((n_rows, self.n_heads, 0, self.head_dim), np.float32)
        past = [self.ort.OrtValue.ortvalue_from_numpy(empty) for _ in self.past]
        new = []
        for step in range(n_new):
            binding = self.session.io_binding()
            binding.bind_cpu_input("input_ids", ids)
            binding.bind_cpu_input("attention_mask", np.ones((n_rows, n_prompt + step), np.int64))
            if self.has_positions:
                binding.bind_cpu_input("position_ids", positions)
            for name, value in zip(self.past, past):
                binding.bind_ortvalue_input(name, value)
            for name in self.outputs:
                binding.bind_output(name, "cpu")
            self.session.run_with_iobinding(binding)
            values = dict(zip(self.outputs, binding.get_outputs()))
            past = [values[name] for name in self.present]
            ids = values["logits"].numpy()[:, -1].argmax(1)[:, None].astype(np.int64)
            positions = np.full((n_rows, 1), n_prompt + step, np.int64)
            new.append(ids)
        seconds = time.perf_counter() - started
        return np.concatenate(new, 1).tolist(), seconds


class Genai:
    """onnxruntime-genai. It knows no GPT-2, but runs the same file under the type `llama` with a config made here."""

    title = "onnxruntime-genai"
    environment = "venv"

    def __init__(self, models, work):
        import onnxruntime_genai

        self.genai = onnxruntime_genai
        folder = Path(work) / "genai"
        folder.mkdir(exist_ok=True)
        graph = folder / "model.onnx"
        graph.unlink(missing_ok=True)
        graph.symlink_to(Path(models) / "gpt2" / "model.onnx")
        config = json.loads((Path(models) / "gpt2" / "config.json").read_text())
        (folder / "genai_config.json").write_text(json.dumps(self.config(config), indent=1))
        self.model = onnxruntime_genai.Model(str(folder))

    @staticmethod
    def config(gpt2):
        decoder = {
            "session_options": {"intra_op_num_threads": N_THREADS, "inter_op_num_threads": 1, "provider_options": []},
            "filename": "model.onnx",
            "head_size": gpt2["n_embd"] // gpt2["n_head"],
            "hidden_size": gpt2["n_embd"],
            "num_attention_heads": gpt2["n_head"],
            "num_key_value_heads": gpt2["n_head"],
            "num_hidden_layers": gpt2["n_layer"],
            "inputs": {
                "input_ids": "input_ids",
                "attention_mask": "attention_mask",
                "position_ids": "position_ids",
                "past_key_names": "past_key_values.%d.key",
                "past_value_names": "past_key_values.%d.value",
            },
            "outputs": {
                "logits": "logits",
                "present_key_names": "present.%d.key",
                "present_value_names": "present.%d.value",
            },
        }
        model = {
            "type": "llama",
            "bos_token_id": gpt2["bos_token_id"],
            "eos_token_id": gpt2["eos_token_id"],
            "pad_token_id": gpt2["eos_token_id"],
            "context_length": gpt2["n_positions"],
            "vocab_size": gpt2["vocab_size"],
            "decoder": decoder,
        }
        search = {"do_sample": False, "max_length": gpt2["n_positions"], "past_present_share_buffer": False}
        return {"model": model, "search": search}

    def versions(self):
        return versions_of("onnxruntime-genai")

    def generate(self, prompts, n_new):
        import numpy as np

        ids = np.array(prompts, np.int32)
        n_rows, n_prompt = ids.shape
        length = n_prompt + n_new
        options = self.genai.GeneratorParams(self.model)
        # As long at least as at most: the end token cannot come earlier.
        options.set_search_options(max_length=length, min_length=length, batch_size=n_rows, do_sample=False)
        started = time.perf_counter()
        generator = self.genai.Generator(self.model, options)
        generator.append_tokens(ids)
        while not generator.is_done():
            generator.generate_next_token()
        seconds = time.perf_counter() - started
        return [[int(t) for t in generator.get_sequence(row)[n_prompt:]] for row in range(n_rows)], seconds


PEERS = {"transformers": Transformers, "optimum": Optimum, "bare": BareLoop, "genai": Genai}


def session_options():
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = N_THREADS
    options.inter_op_num_threads = 1
    return options


if __name__ == "__main__":
    peer.serve(PEERS)
