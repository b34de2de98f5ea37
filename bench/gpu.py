"""Pictures per second on a CUDA device, ResNet-18 alone and `feature-extract` end to end; and tokens of GPT-2.

Command   just bench-gpu                 (builds the programs first), or python3 bench/gpu.py
Options   --rounds N (default 3), --pictures N (default 50000), --batches N,… (default 64,256,1024), --cuda-libs FOLDER,
          --quick (2 rounds of fewer pictures), --results FILE
Needs     a CUDA device; Python with onnxruntime-gpu, onnx and numpy (venv-gpu in the peers' home if there is one, else
          the python3 at hand); ORT_DYLIB_PATH at the library of onnxruntime-gpu for ours; the peers' models
          (bench/README.md); cifar10/train.parquet in data/local, $HEADSTART_DATA or ../shared/data; 10 GB of disk.
          Without a device it says so and ends with 0.
Output    tables; bench/results.json after a complete run, with device, driver and library versions.
Expected  Never run on a device yet. Aims: end to end 0.9 of the model alone, and that above 20,000 pictures a second on
          an H200.
Duration  unknown; an exhaustive search for convolutions comes before each session.
Seed      the programs' default, 0; all weights are seeded random ones, as speed does not depend on them.

Alone is `backbone.onnx` of a features artifact of ours, which takes bytes, in Python's onnxruntime-gpu, with inputs and
outputs bound in device memory: no copies to or from the host. Its best batch is found for each form, and each form is a
session of its own. End to end is our program in float32, by the rate it reports and as a whole process.
"""

import ctypes
import importlib.metadata
import importlib.util
import json
import shutil
import subprocess
import sys
import time

import harness
import peer
from harness import Contender

TRAIN = harness.data("cifar10/train.parquet")
LOGITS, GPT2 = harness.model("resnet18_logits.onnx"), harness.model("gpt2")
AIM_SHARE, AIM_RATE = 0.9, 20_000
WINDOW_S = 2.0  # of one measurement of the model alone
# Form: options of the CUDA provider; whether the graph is float16.
FORMS = {
    "float32, TF32 off": ({"use_tf32": "0"}, False),
    "float32, TF32 on": ({"use_tf32": "1"}, False),
    "float32, TF32 on, NHWC": ({"use_tf32": "1", "prefer_nhwc": "1"}, False),
    "float32, TF32 on, small workspace": ({"use_tf32": "1", "cudnn_conv_use_max_workspace": "0"}, False),
    "float16": ({}, True),
    "float16, NHWC": ({"prefer_nhwc": "1"}, True),
}
ALWAYS = {"cudnn_conv_use_max_workspace": "1", "cudnn_conv_algo_search": "EXHAUSTIVE"}
GPT2_WEIGHTS, GPT2_CACHE = (
    124_439_808 - 1024 * 768,
    36 * 1024,
)  # numbers of a step; bytes of one token's cache in float16
N_PROMPTS, N_PROMPT, N_NEW = 64, 8, 100
LIBRARIES = ("cudnn", "cuda-runtime", "cublas")


class Resident:
    """A session on the device; inputs, drawn at random, and outputs stay there."""

    def __init__(self, model, options, side):
        import onnxruntime

        self.ort, self.side = onnxruntime, side
        if hasattr(onnxruntime, "preload_dlls"):
            onnxruntime.preload_dlls()
        session_options = onnxruntime.SessionOptions()
        self.session = onnxruntime.InferenceSession(
            model, session_options, providers=[("CUDAExecutionProvider", options)]
        )
        if self.session.get_providers()[0] != "CUDAExecutionProvider":
            raise RuntimeError("onnxruntime did not take the CUDA provider")

    def versions(self):
        return versions()

    def bind(self, batch):
        import numpy as np

        pixels = np.random.default_rng(0).integers(0, 256, (batch, self.side, self.side, 3), dtype=np.uint8)
        self.batch, self.binding = batch, self.session.io_binding()
        self.binding.bind_ortvalue_input("pixels", self.ort.OrtValue.ortvalue_from_numpy(pixels, "cuda", 0))
        self.binding.bind_output(self.session.get_outputs()[0].name, "cuda")
        for _ in range(3):
            self.session.run_with_iobinding(self.binding)

    def run(self):
        n, started = 0, time.perf_counter()
        while time.perf_counter() - started < WINDOW_S:
            self.session.run_with_iobinding(self.binding)
            n += self.batch
        self.binding.synchronize_outputs()
        return {"rate": n / (time.perf_counter() - started)}

    def choose(self, batches):
        rates = {}
        for batch in batches:
            self.bind(batch)
            rates[batch] = self.run()["rate"]
        self.bind(max(rates, key=rates.get))
        return {"batch": self.batch, "rates": rates}


def versions():
    names = ["onnxruntime-gpu", *(f"nvidia-{it}{cuda}" for it in LIBRARIES for cuda in ("", "-cu12", "-cu13"))]
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def device():
    """The first device as nvidia-smi tells, or None."""
    asked = ["name", "driver_version", "memory.total"]
    try:
        command = ["nvidia-smi", f"--query-gpu={','.join(asked)}", "--format=csv,noheader", "--id=0"]
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return None
    told = [it.strip() for it in done.stdout.split("\n")[0].split(",")]
    return dict(zip(asked, told)) if done.returncode == 0 and len(told) == len(asked) else None


def bandwidth():
    """GB/s of the device's memory: by clock and bus width, and in copies of 1 GiB within it, read and written both."""
    cuda = ctypes.CDLL("libcuda.so.1")

    def call(name, *arguments):
        code = getattr(cuda, name)(*arguments)
        if code:
            raise OSError(f"{name} gave CUDA error {code}")

    size = 1 << 30
    handle, context = ctypes.c_int(), ctypes.c_void_p()
    clock_khz, bus_bits = ctypes.c_int(), ctypes.c_int()
    source, target = ctypes.c_uint64(), ctypes.c_uint64()
    call("cuInit", 0)
    call("cuDeviceGet", ctypes.byref(handle), 0)
    call("cuDeviceGetAttribute", ctypes.byref(clock_khz), 36, handle)  # CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE
    call("cuDeviceGetAttribute", ctypes.byref(bus_bits), 37, handle)  # CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH
    call("cuDevicePrimaryCtxRetain", ctypes.byref(context), handle)
    call("cuCtxSetCurrent", context)
    for buffer in (source, target):
        call("cuMemAlloc_v2", ctypes.byref(buffer), ctypes.c_size_t(size))
    rates = []
    for _ in range(10):
        started = time.perf_counter()
        for _ in range(10):
            call("cuMemcpyDtoD_v2", target, source, ctypes.c_size_t(size))
        call("cuCtxSynchronize")
        rates.append(2 * 10 * size / 1e9 / (time.perf_counter() - started))
    for buffer in (source, target):
        call("cuMemFree_v2", buffer)
    call("cuDevicePrimaryCtxRelease_v2", handle)
    return {"nominal": nominal_gb_s(clock_khz.value, bus_bits.value), "copy": max(rates)}


def nominal_gb_s(clock_khz, bus_bits):
    """Two transfers a clock."""
    return 2 * clock_khz * 1e3 * bus_bits / 8 / 1e9


def bytes_a_step(n_rows, n_prompt, n_new):
    """What a step of GPT-2 in float16 reads: all weights, and each row's cache at its mean length."""
    return 2 * GPT2_WEIGHTS + n_rows * (n_prompt + n_new / 2) * GPT2_CACHE


def on_device(bench):
    libraries = bench.arguments.cuda_libs
    return ["--device", "cuda", *(["--cuda-libs", libraries] if libraries else [])]


def pictures(bench, side):
    """All forms of the model alone, and feature-extract, for stored pictures of one size."""
    n = bench.size(bench.arguments.pictures, 500)
    n = n if side == 32 else n // 5  # 150 kB each
    few, many = bench.work / f"few-{side}", bench.work / f"many-{side}"
    size = [] if side == 32 else ["--size", str(side), "--enlarge"]
    network = ["--backbone", LOGITS, "--mean", "0.5", "--std", "0.5"]
    for folder, rows in ((few, 4), (many, n)):
        bench.run("data-prep", "--input", f"train={TRAIN}", "--take", f"train={rows}", *size, "--out", folder)
    artifact = bench.work / f"features-few-{side}"
    bench.run("feature-extract", *network, "--examples", few, "--out", artifact, "--device", "cpu")
    graphs = {False: artifact / "backbone.onnx", True: artifact / "float16.onnx"}
    bench.make("float16", network=graphs[False], out=graphs[True], keep_io_types=True)

    def extract(batch):
        where = ["--examples", many, "--out", bench.work / f"features-{side}", "--overwrite", "--batch", str(batch)]
        ran = bench.run("feature-extract", *network, *where, *on_device(bench))
        return {"rate": ran.said["rows_per_second"], "process": n / ran.seconds}

    contenders, chosen = {}, {}
    for form, (options, is_half) in FORMS.items():
        given = {**ALWAYS, **options}
        try:
            process = bench.start("gpu.py", "Resident", model=graphs[is_half], options=given, side=side)
            chosen[form] = process.ask("choose", batches=bench.arguments.batches)
        except peer.Failure as failure:
            print(f"{form} is left out: {failure}")
            continue
        title = f"alone, {form}, batch {chosen[form]['batch']}"
        contenders[form] = Contender(title, lambda process=process: process.ask("run"), process.process)
    if "float32, TF32 on" not in chosen:
        bench.fail("the form that feature-extract is compared with did not run")
    batch = chosen["float32, TF32 on"]["batch"]
    contenders["headstart"] = Contender(f"feature-extract, batch {batch}", lambda: extract(batch))
    extract(batch)
    rounds = harness.Rounds(contenders, bench.n_rounds, f"{side} × {side}")
    print(f"\nResNet-18 at 224 from {side} × {side} bytes; feature-extract: {n:,} pictures")
    aims = {"float32, TF32 on": AIM_SHARE}
    told = rounds.table("rate", "images/s", "headstart", aims=aims, digits=0, others=[("process", "whole process", 0)])
    best = max(rounds.median(form, "rate") for form in chosen)
    print(f"the model alone, at best: {best:,.0f} images/s ({harness.verdict(best, AIM_RATE)})")
    for process in bench.peers.values():
        process.stop()
    return {"pictures": n, "batches": chosen, "best_alone": best, **told}


def tokens(bench, speed):
    """GPT-2 124M in float16, 64 prompts in one batch."""
    model = bench.work / "gpt2-float16"
    model.mkdir()
    for file in GPT2.iterdir():
        if file.suffix != ".onnx" and file.is_file():
            shutil.copy(file, model)
    bench.make("float16", network=GPT2 / "model.onnx", out=model / "model.onnx", keep_io_types=False)
    listing, prompts = bench.work / "prompts.txt", bench.work / "prompts"
    words = "the and light house stone river world people night winter".split()
    lines = [" ".join(words[(row + at) % len(words)] for at in range(N_PROMPT)) for row in range(N_PROMPTS)]
    listing.write_text("\n".join(f"{line}" for line in lines) + "\n")
    bench.run("data-prep", "--input", listing, "--tokenizer", model, "--out", prompts)

    def generate():
        where = ["--model", model, "--prompts", prompts, "--out", bench.work / "completions", "--overwrite"]
        lengths = ["--max-new-tokens", str(N_NEW), "--ignore-eos", "--batch", str(N_PROMPTS), "--strategy", "greedy"]
        return {"rate": bench.run("generate", *where, *lengths, *on_device(bench)).said["tokens_per_second"]}

    generate()
    rounds = harness.Rounds({"headstart": Contender("generate, float16", generate)}, bench.n_rounds, "generate")
    print(f"\nGPT-2 124M, float16, batch {N_PROMPTS}, prompt {N_PROMPT}, {N_NEW} new tokens")
    told = rounds.table("rate", "tokens/s", "headstart", digits=0)
    limits = {}
    for which, gb_s in speed.items():
        limit = N_PROMPTS * gb_s * 1e9 / bytes_a_step(N_PROMPTS, N_PROMPT, N_NEW)
        limits[which] = {
            "GB_per_s": gb_s,
            "tokens_per_s": limit,
            "our_share": rounds.median("headstart", "rate") / limit,
        }
        share = f"{100 * limits[which]['our_share']:.0f} %"
        print(f"limit, {which} bandwidth: {gb_s:,.0f} GB/s = {limit:,.0f} tokens/s, of which headstart has {share}")
    return {"limits": limits, **told}


def numbers(text):
    return [int(it) for it in text.split(",")]


def main():
    it = device()
    if it is None:
        print("bench-gpu: no CUDA device here (nvidia-smi is absent or lists none), so nothing was measured")
        return
    options = [
        (
            "--pictures",
            {"type": int, "default": 50_000, "metavar": "N", "help": "pictures of 32 × 32; of 224 × 224 a fifth"},
        ),
        ("--batches", {"type": numbers, "default": [64, 256, 1024], "metavar": "N,…", "help": "batches to try"}),
        ("--cuda-libs", {"metavar": "FOLDER", "help": "CUDA and cuDNN libraries for our programs"}),
    ]
    environment = "venv-gpu" if (harness.PEERS_HOME / "venv-gpu").exists() else None
    programs, files = ["data-prep", "feature-extract", "generate"], [LOGITS, GPT2 / "model.onnx", TRAIN]
    kept = {"programs": programs, "files": files, "rounds": 3, "options": options, "environment": environment}
    bench = harness.Benchmark("gpu", __doc__, command="just bench-gpu", **kept)
    if "CUDAExecutionProvider" not in providers():
        print(f"bench-gpu: there is {it['name']}, but no onnxruntime-gpu for {sys.executable}, so nothing was measured")
        return
    with bench:
        speed = bandwidth()
        print(json.dumps({**it, **versions()}))
        print(f"device memory: {speed['nominal']:,.0f} GB/s by clock and width, {speed['copy']:,.0f} GB/s in copies")
        figures = {f"{side}x{side}": pictures(bench, side) for side in (32, 224)}
        bench.finish(device=it, libraries=versions(), bandwidth=speed, pictures=figures, gpt2=tokens(bench, speed))


def providers():
    if importlib.util.find_spec("onnxruntime") is None:
        return []
    import onnxruntime

    return onnxruntime.get_available_providers()


if __name__ == "__main__":
    if sys.argv[1:2] == ["Resident"]:
        peer.serve({"Resident": Resident})
    else:
        main()
