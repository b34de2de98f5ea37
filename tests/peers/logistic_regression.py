"""Scikit-learn's LogisticRegression (L-BFGS) on a run's features, next to the head of that run.

    python tests/peers/logistic_regression.py runs/cifar10-mobilenetv2

Reads the features artifact with pyarrow alone. C is chosen by accuracy on the very rows that the
head's choice was made on: a validation split, or the training rows that its predictions.parquet names; where the head was refitted on
training and validation rows together, so is this. Features are standardised with training
statistics, as the head's are; `--raw` leaves them as they are.
"""

import glob
import json
import sys

import numpy as np
import pyarrow.parquet as pq
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler


def split(run, name):
    tables = [pq.read_table(p) for p in sorted(glob.glob(f"{run}/features/{name}-*.parquet"))]
    ids = np.concatenate([t["id"].to_numpy(zero_copy_only=False) for t in tables])
    labels = np.concatenate([t["label"].to_numpy() for t in tables])
    rows = [np.asarray(c.flatten(), dtype=np.float32).reshape(len(c), -1) for t in tables for c in t["feature"].chunks]
    return ids, labels, np.concatenate(rows)


def main():
    run, raw = sys.argv[1], "--raw" in sys.argv
    metrics = json.load(open(f"{run}/head/metrics.json"))
    predictions = pq.read_table(f"{run}/head/predictions.parquet").to_pandas()
    chosen_on = set(predictions.id[predictions.split == "validation"])

    ids, labels, features = split(run, "train")
    if glob.glob(f"{run}/features/validation-*.parquet"):
        of_validation = split(run, "validation")
        ids, labels, features = (np.concatenate(both) for both in zip((ids, labels, features), of_validation))
    held = np.array([i in chosen_on for i in ids])
    _, test_labels, test = split(run, "test")
    fit = lambda x, y, c: LogisticRegression(C=c, max_iter=5000, tol=1e-5).fit(x, y)
    scale = lambda x: StandardScaler(with_mean=not raw, with_std=not raw).fit(x)

    s = scale(features[~held])
    grid = 10.0 ** np.arange(-6, 2.01, 0.5)
    scores = [fit(s.transform(features[~held]), labels[~held], c).score(s.transform(features[held]), labels[held]) for c in grid]
    best = grid[int(np.argmax(scores))]
    rows = np.ones_like(held) if metrics["refit"] else ~held
    s = scale(features[rows])
    model = fit(s.transform(features[rows]), labels[rows], best)
    theirs, ours = model.score(s.transform(test), test_labels), metrics["test"]["accuracy"]
    print(f"train {rows.sum()}, validation {held.sum()}, test {len(test)}; best C {best:.3g} (validation {max(scores):.4f})")
    print(f"test accuracy: scikit-learn {theirs:.4f}, head {ours:.4f}, difference {100 * (ours - theirs):+.2f} points")


main()
