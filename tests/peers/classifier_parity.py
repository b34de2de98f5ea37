"""classifier.onnx in plain Python onnxruntime, next to what head-train says of itself.

    python tests/peers/classifier_parity.py runs/cifar10-mobilenetv2 [test.parquet]

Stored test pictures go in as they are, as bytes: there is no preprocessing here. With the Parquet file that the
pictures came from as well, they are decoded by Pillow instead (JPEG leaves rounding open, so a picture near a boundary
may change sides). Checked: the official ONNX checker passes, the accuracy is that of metrics.json to the digit, and the
probabilities are those of predictions.parquet.
"""

import os

# Microsoft's builds report their use otherwise, from the import on.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import glob
import io
import json
import sys

import numpy as np
import onnx
import onnxruntime
import pyarrow.parquet as pq


def accuracy(session, pictures, labels):
    """Share of right answers, and all probabilities."""
    fixed = session.get_inputs()[0].shape[0]
    batch = fixed if isinstance(fixed, int) else 32
    rows = []
    for start in range(0, len(pictures), batch):
        chunk = pictures[start : start + batch]
        full = np.concatenate([chunk, np.zeros((batch - len(chunk), *chunk.shape[1:]), np.uint8)])
        rows.append(session.run(["probabilities"], {"pixels": full})[0][: len(chunk)])
    probabilities = np.concatenate(rows)
    return float((probabilities.argmax(1) == labels).mean()), probabilities


def main():
    run = sys.argv[1]
    path = f"{run}/head/classifier.onnx"
    onnx.checker.check_model(path, full_check=True)
    session = onnxruntime.InferenceSession(path)
    about = session.get_modelmeta().custom_metadata_map
    height, width = int(about["headstart.height"]), int(about["headstart.width"])
    examples = [pq.read_table(part) for part in sorted(glob.glob(f"{run}/examples/test-*.parquet"))]
    pixels = np.concatenate([np.stack([np.frombuffer(p.as_py(), np.uint8) for p in t["pixels"]]) for t in examples])
    labels = np.concatenate([t["label"].to_numpy() for t in examples])
    claimed = json.load(open(f"{run}/head/metrics.json"))["test"]["accuracy"]
    found, probabilities = accuracy(session, pixels.reshape(-1, height, width, 3), labels)
    predictions = pq.read_table(f"{run}/head/predictions.parquet", filters=[("split", "=", "test")])
    ours = np.array(predictions["probabilities"].to_pylist(), np.float32)
    print(f"checker passed; {len(labels)} pictures; classes {about['headstart.classes']}")
    print(f"accuracy: metrics.json {claimed!r}, onnxruntime {found!r}")
    print(f"largest difference of a probability: {np.abs(ours - probabilities).max():.2e}")
    same = found == claimed
    if len(sys.argv) > 2:
        from PIL import Image

        table = pq.read_table(sys.argv[2]).slice(0, len(labels))
        name = "img" if "img" in table.column_names else "image"
        decoded = np.stack([np.asarray(Image.open(io.BytesIO(c["bytes"].as_py())).convert("RGB")) for c in table[name]])
        by_pillow, _ = accuracy(session, decoded, table["label"].to_numpy())
        print(f"accuracy on pictures that Pillow decoded: {by_pillow!r} ({round((by_pillow - claimed) * len(labels)):+d} pictures)")
    sys.exit(0 if same else 1)


main()
