"""Our features through the model's own last layer, next to the logits of the untouched model.

    python tests/peers/original_logits.py runs/cifar10-resnet20 data/local/models/resnet20_cifar10.onnx

The untouched model runs in Python's onnxruntime on the pixels of the examples artifact, normalised
here in numpy with ImageNet's mean and std: nothing of our preprocessing takes part. It expects a
model that takes pictures of the stored size and ends in a Gemm with a transposed weight.
"""

import os

# Microsoft's builds report their use otherwise, from the import on.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import glob
import sys

import numpy as np
import onnx
import onnxruntime
import pyarrow.parquet as pq
from onnx import numpy_helper

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)


def main():
    run, path = sys.argv[1:3]
    model = onnx.load(path)
    gemm = [n for n in model.graph.node if n.op_type == "Gemm"][-1]
    weights = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    weight, bias = weights[gemm.input[1]].astype(np.float64), weights[gemm.input[2]].astype(np.float64)
    session = onnxruntime.InferenceSession(path)
    worst, right, n = 0.0, 0, 0
    for part in sorted(glob.glob(f"{run}/examples/*-*.parquet")):
        examples, features = pq.read_table(part), pq.read_table(part.replace("/examples/", "/features/"))
        assert examples["id"].equals(features["id"]), part
        pixels = np.stack([np.frombuffer(p.as_py(), np.uint8) for p in examples["pixels"]])
        side = int((pixels.shape[1] // 3) ** 0.5)
        x = ((pixels.reshape(-1, side, side, 3).astype(np.float32) / 255 - MEAN) / STD).transpose(0, 3, 1, 2)
        logits = session.run(None, {session.get_inputs()[0].name: np.ascontiguousarray(x)})[0]
        rows = np.concatenate([np.asarray(c.flatten(), np.float64).reshape(len(c), -1) for c in features["feature"].chunks])
        ours = rows @ weight.T + bias
        worst = max(worst, float(np.abs(ours - logits).max()))
        right += int((ours.argmax(1) == examples["label"].to_numpy()).sum())
        n += len(rows)
    print(f"{n} rows: max abs difference of logits {worst:.2e}; original last layer right on {right} ({100 * right / n:.2f} %)")


main()
