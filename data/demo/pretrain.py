"""Pretrains the embedded default backbone: a small ResNet, on CIFAR-10, on a CPU.

Command   python data/demo/pretrain.py [CIFAR10_FOLDER]      (from the repository root)
Needs     pip install torch==2.15.0 onnx==1.23.2 onnxruntime==1.31.1 pyarrow==26.0.1 pillow==13.0.0 numpy==2.4.6
Input     CIFAR10_FOLDER/train.parquet and test.parquet in the Hugging Face layout: `img` struct<bytes, path>,
          `label` int64. Default data/local/cifar10.
Output    backbone.onnx and preprocessor_config.json beside this file; the unfolded weights in --weights.
Expected  last lines: `Epoch [20/20], Loss: 0.7196, Test accuracy: 87.26%`, and the same accuracy through onnxruntime.
Duration  about 80 s per epoch on two idle cores with AVX512-BF16, so about 27 minutes; 55 beside other builds.
Seed      1337 (weights, order of examples, augmentation). The bytes also depend on the number of threads and on
          the processor, because both change the order in which floats are added.

The schedule is fixed in advance and the weights after the last step are the ones exported: the test accuracy that
is printed after every epoch selects nothing.
"""

import argparse
import io
import json
import math
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pyarrow.parquet as pq
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from torch import nn

HERE = Path(__file__).resolve().parent
CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
SIDE = 32  # pixels, height and width

SEED = 1337
N_THREADS = 2
N_EPOCHS = 20
BATCH_SIZE = 256  # an incomplete last batch is dropped: 195 steps per epoch
PEAK_LEARNING_RATE = 0.2  # 0.1 per 128 examples, the usual value for a ResNet with batch norm
WARMUP_FRACTION = 0.2  # of all steps, from 0 up to the peak; then linearly down to 0
MOMENTUM = 0.9
WEIGHT_DECAY = 5e-4  # on convolution and linear weights only, not on biases or batch norm
LABEL_SMOOTHING = 0.1
CROP_PADDING = 4  # pixels on each side, mirrored
STEM_WIDTH = 32  # channels at 32x32
STAGES = [(64, 2), (128, 2)]  # (channels, blocks); each stage halves height and width first


# --- network ---------------------------------------------------------------------------------------------------------


class ConvNorm(nn.Module):
    """Convolution without bias, then batch norm. The export folds the second into the first."""

    def __init__(self, n_in, n_out, kernel=3, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(n_in, n_out, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(n_out)

    def forward(self, x):
        return self.norm(self.conv(x))


class Block(nn.Module):
    """Basic residual block of He et al. 2015 (arXiv 1512.03385), with a 1x1 shortcut where the shape changes."""

    def __init__(self, n_in, n_out, stride):
        super().__init__()
        self.first = ConvNorm(n_in, n_out, stride=stride)
        self.second = ConvNorm(n_out, n_out)
        self.shortcut = ConvNorm(n_in, n_out, kernel=1, stride=stride) if stride != 1 or n_in != n_out else None

    def forward(self, x):
        skip = x if self.shortcut is None else self.shortcut(x)
        return F.relu(self.second(F.relu(self.first(x))) + skip)


class SmallResNet(nn.Module):
    """[n, 3, 32, 32] normalised RGB -> [n, 10] logits, by way of [n, 128] pooled features."""

    def __init__(self):
        super().__init__()
        self.stem = ConvNorm(3, STEM_WIDTH)
        blocks, width = [], STEM_WIDTH
        for n_out, n_blocks in STAGES:
            for i in range(n_blocks):
                blocks.append(Block(width, n_out, stride=2 if i == 0 else 1))
                width = n_out
        self.blocks = nn.ModuleList(blocks)
        self.classifier = nn.Linear(width, len(CLASSES))

    def forward(self, x):
        x = F.relu(self.stem(x))
        for block in self.blocks:
            x = block(x)
        return self.classifier(x.mean(dim=(2, 3)))


# --- data ------------------------------------------------------------------------------------------------------------


def read_split(path):
    """Pixels uint8 [n, 3, 32, 32] (RGB) and labels int64 [n]."""
    table = pq.read_table(path, columns=["img", "label"])
    pixels = np.empty((table.num_rows, SIDE, SIDE, 3), np.uint8)
    for i, encoded in enumerate(table["img"].combine_chunks().field("bytes")):
        pixels[i] = Image.open(io.BytesIO(encoded.as_py())).convert("RGB")
    labels = torch.from_numpy(table["label"].to_numpy().astype(np.int64))
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(), labels


def channel_statistics(pixels):
    """Mean and standard deviation of each channel over the training pixels scaled to 0..1, to four decimals."""
    mean, std = [], []
    for channel in range(3):
        counts = torch.bincount(pixels[:, channel].flatten(), minlength=256).double()
        values = torch.arange(256, dtype=torch.float64) / 255
        average = (counts * values).sum() / counts.sum()
        variance = (counts * (values - average) ** 2).sum() / counts.sum()
        mean.append(round(average.item(), 4))
        std.append(round(variance.sqrt().item(), 4))
    return mean, std


def normalise(pixels, mean, std):
    """uint8 [n, 3, h, w] -> float32 (pixel / 255 - mean) / std, channels last in memory: the fast layout on a CPU."""
    x = (pixels.float() / 255 - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    return x.contiguous(memory_format=torch.channels_last)


def crop_and_flip(padded, rows, generator):
    """A random 32x32 crop of each of the padded pictures `rows`, mirrored left to right with probability 1/2."""
    n = len(rows)
    top, left = torch.randint(0, 2 * CROP_PADDING + 1, (2, n, 1), generator=generator)
    flip = torch.rand(n, 1, generator=generator) < 0.5
    along = torch.arange(SIDE)
    y = top + along  # [n, 32]
    x = left + torch.where(flip, along.flip(0), along)
    return padded[rows.view(n, 1, 1, 1), torch.arange(3).view(1, 3, 1, 1), y.view(n, 1, SIDE, 1), x.view(n, 1, 1, SIDE)]


# --- training --------------------------------------------------------------------------------------------------------


def learning_rate(step, n_steps):
    """One cycle, piecewise linear: 0 -> peak -> 0."""
    n_warmup = WARMUP_FRACTION * n_steps
    return PEAK_LEARNING_RATE * min((step + 1) / n_warmup, (n_steps - step) / (n_steps - n_warmup))


@torch.inference_mode()
def torch_logits(network, pixels, mean, std):
    network.eval()
    return torch.cat([network(normalise(chunk, mean, std)) for chunk in pixels.split(500)])


def accuracy(logits, labels):
    return (logits.argmax(dim=1) == labels).double().mean().item()


def train(train_pixels, train_labels, test_pixels, test_labels, mean, std, n_epochs):
    torch.manual_seed(SEED)
    network = SmallResNet().to(memory_format=torch.channels_last)
    # A residual branch that starts at zero makes every block the identity, which trains more steadily
    # at a high learning rate.
    for block in network.blocks:
        nn.init.zeros_(block.second.norm.weight)
    decayed = [p for p in network.parameters() if p.ndim > 1]
    undecayed = [p for p in network.parameters() if p.ndim <= 1]
    optimiser = torch.optim.SGD(
        [{"params": decayed, "weight_decay": WEIGHT_DECAY}, {"params": undecayed, "weight_decay": 0.0}],
        lr=PEAK_LEARNING_RATE,
        momentum=MOMENTUM,
        nesterov=True,
    )
    n_parameters = sum(p.numel() for p in network.parameters())
    print(f"{n_parameters} parameters, {len(train_labels)} training and {len(test_labels)} test pictures", flush=True)

    padded = torch.cat([F.pad(c.float(), [CROP_PADDING] * 4, "reflect").byte() for c in train_pixels.split(5000)])
    generator = torch.Generator().manual_seed(SEED)
    n_batches = len(train_labels) // BATCH_SIZE
    n_steps, step, started = n_epochs * n_batches, 0, time.monotonic()
    for epoch in range(1, n_epochs + 1):
        network.train()
        loss_sum = 0.0
        order = torch.randperm(len(train_labels), generator=generator)
        for rows in order[: n_batches * BATCH_SIZE].split(BATCH_SIZE):
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(step, n_steps)
            x = normalise(crop_and_flip(padded, rows, generator), mean, std)
            # bfloat16 arithmetic with float32 weights: 1.6 to 1.7 times as fast as float32 in a short trial of
            # two slightly smaller nets on a CPU with AVX512-BF16.
            with torch.autocast("cpu", torch.bfloat16):
                logits = network(x)
            loss = F.cross_entropy(logits.float(), train_labels[rows], label_smoothing=LABEL_SMOOTHING)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            loss_sum += loss.item()
            step += 1
        test_accuracy = accuracy(torch_logits(network, test_pixels, mean, std), test_labels)
        print(
            f"Epoch [{epoch}/{n_epochs}], Loss: {loss_sum / n_batches:.4f}, Test accuracy: {100 * test_accuracy:.2f}%, "
            f"{time.monotonic() - started:.0f} s",
            flush=True,
        )
    return network


# --- export ----------------------------------------------------------------------------------------------------------


def to_onnx(network):
    """The network as an ONNX model, batch norm folded into the convolutions.

    Written node by node instead of traced, so that every tensor has a plain name and nothing of this machine
    (paths, stack traces) gets into the file.
    """
    nodes, weights = [], []

    def constant(name, values):
        weights.append(numpy_helper.from_array(np.ascontiguousarray(values, np.float32), name))
        return name

    def conv(name, source, layer):
        # norm(conv(x)) = scale * (W x - mean) + shift, with scale = gamma / sqrt(variance + eps).
        norm = layer.norm
        scale = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
        weight = layer.conv.weight.double() * scale.view(-1, 1, 1, 1)
        bias = norm.bias.double() - norm.running_mean.double() * scale
        kernel, stride, pad = layer.conv.kernel_size, layer.conv.stride, layer.conv.padding[0]
        inputs = [source, constant(f"{name}.weight", weight.numpy()), constant(f"{name}.bias", bias.numpy())]
        nodes.append(
            helper.make_node("Conv", inputs, [name], name, kernel_shape=kernel, strides=stride, pads=[pad] * 4)
        )
        return name

    def node(operator, inputs, output, **attributes):
        nodes.append(helper.make_node(operator, inputs, [output], output, **attributes))
        return output

    with torch.inference_mode():
        x = node("Relu", [conv("stem.conv", "input", network.stem)], "stem.relu")
        for i, block in enumerate(network.blocks):
            name = f"block{i}"
            skip = x if block.shortcut is None else conv(f"{name}.shortcut", x, block.shortcut)
            y = node("Relu", [conv(f"{name}.conv0", x, block.first)], f"{name}.relu0")
            y = node("Add", [conv(f"{name}.conv1", y, block.second), skip], f"{name}.add")
            x = node("Relu", [y], f"{name}.relu1")
        x = node("Flatten", [node("GlobalAveragePool", [x], "pool")], "features", axis=1)
        head = [constant("classifier.weight", network.classifier.weight.numpy())]
        head += [constant("classifier.bias", network.classifier.bias.numpy())]
        node("Gemm", [x, *head], "logits", transB=1)

    graph = helper.make_graph(
        nodes,
        "small_resnet_cifar10",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", len(CLASSES)])],
        weights,
    )
    model = helper.make_model(
        graph, producer_name="headstart data/demo/pretrain.py", ir_version=8, opset_imports=[helper.make_opsetid("", 17)]
    )
    helper.set_model_props(model, {"classes": json.dumps(CLASSES)})
    return onnx.shape_inference.infer_shapes(model, strict_mode=True)


def onnx_logits(path, pixels, mean, std):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    chunks = [normalise(chunk, mean, std).contiguous().numpy() for chunk in pixels.split(500)]
    return torch.from_numpy(np.concatenate([session.run(["logits"], {"input": chunk})[0] for chunk in chunks]))


def main():
    parser = argparse.ArgumentParser(description="Pretrain the embedded default backbone on CIFAR-10.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("data/local/cifar10"), metavar="CIFAR10_FOLDER")
    parser.add_argument("--out", type=Path, default=HERE, help="folder for the exported files [this script's]")
    parser.add_argument("--weights", type=Path, default=Path("data/local/demo-backbone.pt"), help="trained weights, written")
    parser.add_argument("--export-only", action="store_true", help="read --weights instead of training")
    parser.add_argument("--epochs", type=int, default=N_EPOCHS, help=f"passes over the training pictures [{N_EPOCHS}]")
    args = parser.parse_args()
    torch.set_num_threads(N_THREADS)

    train_pixels, train_labels = read_split(args.folder / "train.parquet")
    test_pixels, test_labels = read_split(args.folder / "test.parquet")
    mean, std = channel_statistics(train_pixels)
    print(f"seed {SEED}, mean {mean}, std {std}", flush=True)

    if args.export_only:
        network = SmallResNet()
        network.load_state_dict(torch.load(args.weights, weights_only=True))
    else:
        network = train(train_pixels, train_labels, test_pixels, test_labels, mean, std, args.epochs)
        args.weights.parent.mkdir(parents=True, exist_ok=True)
        torch.save(network.state_dict(), args.weights)
    network.eval()

    model = to_onnx(network)
    onnx.checker.check_model(model, full_check=True)
    path = args.out / "backbone.onnx"
    onnx.save(model, path)
    preprocessing = {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"height": SIDE, "width": SIDE},
        "resample": 2,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": mean,
        "image_std": std,
    }
    (args.out / "preprocessor_config.json").write_text(json.dumps(preprocessing, indent=2) + "\n")

    by_torch = torch_logits(network, test_pixels, mean, std)
    by_onnx = onnx_logits(path, test_pixels, mean, std)
    difference = (by_torch - by_onnx).abs().max().item()
    print(f"{path.name}: {path.stat().st_size} bytes, largest difference to torch {difference:.1e}")
    print(f"Test accuracy: torch {100 * accuracy(by_torch, test_labels):.2f}%, "
          f"onnxruntime {100 * accuracy(by_onnx, test_labels):.2f}%")
    if not difference < 1e-4:
        raise SystemExit("the exported model does not agree with torch within 1e-4")
    if not math.isclose(accuracy(by_torch, test_labels), accuracy(by_onnx, test_labels)):
        raise SystemExit("the exported model classifies the test pictures differently from torch")


if __name__ == "__main__":
    main()
