"""The programs that head-train is compared with, each in a process of its own (see peer.py).

All train a linear head with softmax and cross-entropy on the features that a features artifact of ours has, and give
the seconds of the training alone, with loss and accuracy of the head on the training rows afterwards. The loop is the
same for all but scikit-learn: epochs, each in an order drawn anew, SGD with momentum, no weight decay, a constant rate,
from small random weights where ours starts from zero, so that all should end alike.
"""

import time
from pathlib import Path

import peer
from peer import N_THREADS, versions_of

MOMENTUM = 0.9
INITIAL_STD = 0.01


class Head:
    """What all have: the features, and how a head is judged."""

    def __init__(self, features):
        import numpy as np
        import pyarrow as pa
        import pyarrow.parquet as pq

        parts = [pq.read_table(part) for part in sorted(Path(features).glob("train-*.parquet"))]
        table = pa.concat_tables(parts)
        rows = table["feature"].combine_chunks().flatten().to_numpy().reshape(table.num_rows, -1)
        # In memory of its own, as whoever loads features has it.
        self.x, self.y = np.ascontiguousarray(rows), table["label"].to_numpy().astype(np.int64)
        self.n_classes = int(self.y.max()) + 1
        self.np = np
        self.load()

    def load(self):
        pass

    def versions(self):
        return versions_of("numpy")

    def judged(self, seconds, weight, bias):
        scores = self.x @ weight.T + bias
        top = scores.max(1, keepdims=True)
        log_sum = top[:, 0] + self.np.log(self.np.exp(scores - top).sum(1))
        loss = (log_sum - scores[self.np.arange(len(self.y)), self.y]).mean()
        right = (scores.argmax(1) == self.y).mean()
        return {"seconds": seconds, "loss": float(loss), "accuracy": 100 * float(right)}


class Numpy(Head):
    """A plain loop: the same update written out."""

    def run(self, epochs, batch, lr):
        np, (n, dim) = self.np, self.x.shape
        rng = np.random.default_rng(0)
        weight = rng.normal(0, INITIAL_STD, (self.n_classes, dim)).astype(np.float32)
        bias = np.zeros(self.n_classes, np.float32)
        weight_speed, bias_speed = np.zeros_like(weight), np.zeros_like(bias)
        lr, momentum = np.float32(lr), np.float32(MOMENTUM)
        started = time.perf_counter()
        for _ in range(epochs):
            order = rng.permutation(n)
            for at in range(0, n, batch):
                rows = order[at : at + batch]
                x = self.x[rows]
                scores = x @ weight.T
                scores += bias
                scores -= scores.max(1, keepdims=True)
                np.exp(scores, out=scores)
                scores /= scores.sum(1, keepdims=True)
                scores[np.arange(len(rows)), self.y[rows]] -= 1
                scores *= np.float32(1 / len(rows))
                weight_speed *= momentum
                weight_speed += scores.T @ x
                bias_speed *= momentum
                bias_speed += scores.sum(0)
                weight -= lr * weight_speed
                bias -= lr * bias_speed
        return self.judged(time.perf_counter() - started, weight, bias)


class TorchIndex(Head):
    """nn.Linear and SGD, batches taken by index from a drawn order: torch's lean loop."""

    def load(self):
        import torch

        torch.set_num_threads(N_THREADS)
        self.torch = torch
        self.rows, self.labels = torch.from_numpy(self.x), torch.from_numpy(self.y)

    def versions(self):
        return versions_of("torch")

    def batches(self, batch):
        """A function that gives the batches of an epoch."""

        def epoch():
            order = self.torch.randperm(len(self.rows))
            for at in range(0, len(order), batch):
                rows = order[at : at + batch]
                yield self.rows[rows], self.labels[rows]

        return epoch

    def run(self, epochs, batch, lr):
        torch = self.torch
        torch.manual_seed(0)
        head = torch.nn.Linear(self.rows.shape[1], self.n_classes)
        torch.nn.init.normal_(head.weight, 0, INITIAL_STD)
        torch.nn.init.zeros_(head.bias)
        loss_of = torch.nn.CrossEntropyLoss()
        optimizer = torch.optim.SGD(head.parameters(), lr=lr, momentum=MOMENTUM)
        epoch = self.batches(batch)
        started = time.perf_counter()
        for _ in range(epochs):
            for rows, labels in epoch():
                optimizer.zero_grad()
                loss_of(head(rows), labels).backward()
                optimizer.step()
        seconds = time.perf_counter() - started
        return self.judged(seconds, head.weight.detach().numpy(), head.bias.detach().numpy())


class TorchLoader(TorchIndex):
    """The same with a shuffled DataLoader, as tutorials write it."""

    def batches(self, batch):
        data = self.torch.utils.data
        loader = data.DataLoader(data.TensorDataset(self.rows, self.labels), batch_size=batch, shuffle=True)
        return lambda: loader


class SklearnSgd(Head):
    """SGDClassifier with log loss: one class against the others, a step a row; another task, but what one would use."""

    def versions(self):
        return versions_of("scikit-learn")

    def run(self, epochs, batch, lr):
        from sklearn.linear_model import SGDClassifier

        model = SGDClassifier(loss="log_loss", max_iter=epochs, tol=None, random_state=0, n_jobs=N_THREADS)
        return self.fitted(model)

    def fitted(self, model):
        started = time.perf_counter()
        model.fit(self.x, self.y)
        return self.judged(time.perf_counter() - started, model.coef_, model.intercept_)


class SklearnLbfgs(SklearnSgd):
    """LogisticRegression by L-BFGS, at most 100 iterations, on the features as they are."""

    def run(self, epochs, batch, lr):
        from sklearn.linear_model import LogisticRegression

        return self.fitted(LogisticRegression(max_iter=100))


PEERS = {it.__name__: it for it in (Numpy, TorchIndex, TorchLoader, SklearnSgd, SklearnLbfgs)}

if __name__ == "__main__":
    peer.serve(PEERS)
