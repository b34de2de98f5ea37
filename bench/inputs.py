"""Makes what benchmarks read: picture folders, Parquet files, networks. Run as `inputs.py WHAT OPTIONS`, by harness.py.

Prints what it has to tell as one JSON object. Seeds are fixed: the same inputs each time.
"""

import json
import sys
from pathlib import Path

SEED = 1337
N_PIXELS = 3 * 32 * 32
SYNTHETIC_CLASSES = 10


def cifar_folder(parquet, out, n):
    """The first `n` pictures of a Parquet file as CLASS/NUMBER.jpg, their bytes as they are."""
    import pyarrow.parquet as pq

    table = pq.read_table(parquet).slice(0, n)
    info = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]["label"]
    classes = info["names"]
    for name in classes:
        (Path(out) / name).mkdir(parents=True, exist_ok=True)
    pictures = table["img"].combine_chunks().field("bytes")
    total = 0
    for number, (picture, label) in enumerate(zip(pictures, table["label"].to_pylist())):
        (Path(out) / classes[label] / f"{number:05}.jpg").write_bytes(picture.as_py())
        total += len(picture.as_py())
    return {"n": table.num_rows, "mean_bytes": total / table.num_rows}


def synthetic_folder(out, n):
    """`n` JPEGs of 500 × 375, smooth with a little noise, quality 90: sizes as of photos. Each is another file.

    400 pictures are drawn; the others are those shifted sideways, since drawing takes longer than all that is measured.
    """
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(SEED)
    drawn, total = [], 0
    for number in range(n):
        if number < 400:
            coarse = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
            smooth = np.asarray(coarse.resize((500, 375), Image.Resampling.BICUBIC)).astype(np.int16)
            drawn.append((smooth + rng.integers(-12, 13, smooth.shape)).clip(0, 255).astype(np.uint8))
        turn, which = divmod(number, 400)
        pixels = np.roll(drawn[which], 8 * turn, axis=1)
        file = Path(out) / f"class-{number % SYNTHETIC_CLASSES}" / f"{number:05}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file, quality=90)
        total += file.stat().st_size
    return {"n": n, "mean_bytes": total / n}


def relabelled(parquet, out, n, n_classes):
    """The first `n` pictures of a Parquet file with made-up labels: row modulo `n_classes`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(parquet, columns=["img"]).slice(0, n)
    labels = pa.array([row % n_classes for row in range(table.num_rows)], pa.int64())
    pq.write_table(table.append_column("label", labels).replace_schema_metadata(None), out)
    return {"n": table.num_rows}


def projection(out, feature_dim):
    """A network on 32 × 32 pictures: Flatten, Gemm to `feature_dim`, Relu, and a last Gemm to 10 that is taken off."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(SEED)

    def weights(name, *shape):
        drawn = rng.standard_normal(shape, dtype=np.float32) * np.float32((2 / shape[0]) ** 0.5)
        return numpy_helper.from_array(drawn, name)

    nodes = [
        helper.make_node("Flatten", ["input"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w1"], ["projected"]),
        helper.make_node("Relu", ["projected"], ["features"]),
        helper.make_node("Gemm", ["features", "w2"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "projection",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 3, 32, 32])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 10])],
        [weights("w1", N_PIXELS, feature_dim), weights("w2", feature_dim, 10)],
    )
    network = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(network)
    onnx.save(network, out)
    return {"feature_dim": feature_dim}


def float16(network, out, keep_io_types):
    """A network in float16, by the converter that ONNX Runtime brings."""
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    onnx.save(convert_float_to_float16(onnx.load(network), keep_io_types=keep_io_types), out)
    return {}


WHAT = {it.__name__: it for it in (cifar_folder, synthetic_folder, relabelled, projection, float16)}

if __name__ == "__main__":
    print(json.dumps(WHAT[sys.argv[1]](**json.loads(sys.argv[2]))))
