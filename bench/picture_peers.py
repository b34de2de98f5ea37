"""The programs that the picture benchmarks (job, extract, prep) are compared with, each in a process of its own.

See peer.py. What nearly all give is a rate, in pictures a second of wall clock, once loaded and warm.
"""

import time
from pathlib import Path

import peer
from peer import N_THREADS, versions_of

SIZE = 224
MEAN = STD = (0.5, 0.5, 0.5)
RATE_S = 3.0  # of each batch size that is tried


def transform(size):
    """What the tutorial does to a picture; `size` 0 leaves it as large as it is."""
    from torchvision import transforms

    resize = [transforms.Resize((size, size))] if size else []
    return transforms.Compose([*resize, transforms.ToTensor(), transforms.Normalize(MEAN, STD)])


class Pillow:
    """A plain loop over torchvision's ImageFolder: Pillow decodes and resizes, then ToTensor and Normalize."""

    def __init__(self, folder, size, n_workers=0):
        import torch
        from torchvision import datasets

        torch.set_num_threads(1)
        self.pictures = datasets.ImageFolder(folder, transform(size))
        self.prepare(torch, n_workers)

    def prepare(self, torch, n_workers):
        pass

    def versions(self):
        return versions_of("pillow", "torchvision", "torch")

    def run(self):
        n, started, cpu = len(self.pictures), time.perf_counter(), time.process_time()
        for number in range(n):
            self.pictures[number]
        seconds = time.perf_counter() - started
        return {"rate": n / seconds, "per_cpu_s": n / (time.process_time() - cpu)}


class AsTheyAre(Pillow):
    """The same loop without resizing: what it costs to decode only."""


class Loader(Pillow):
    """The same pictures through a DataLoader whose workers stay from pass to pass; the first pass starts them."""

    def prepare(self, torch, n_workers):
        self.loader = torch.utils.data.DataLoader(
            self.pictures, batch_size=32, num_workers=n_workers, persistent_workers=n_workers > 0
        )

    def run(self):
        started = time.perf_counter()
        for _ in self.loader:
            pass
        return {"rate": len(self.pictures) / (time.perf_counter() - started)}


class OnnxRuntime:
    """A bare session over the network that ends at the features, fed ready float tensors from memory."""

    def __init__(self, network, examples, n_ready):
        import numpy as np

        self.ready = ready_tensors(examples, n_ready)
        self.compute = self.load(network)
        self.batch = None
        self.np = np

    def load(self, model):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = N_THREADS
        options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        return lambda batch: session.run(None, {name: batch})[0]

    def versions(self):
        return versions_of("onnxruntime", "numpy")

    def choose(self, batches):
        """Tries each batch size for a few seconds and stays with the fastest."""
        rates = {}
        for batch in batches:
            self.rate_of(batch, batch)
            n, started = 0, time.perf_counter()
            while time.perf_counter() - started < RATE_S:
                self.compute(self.ready[:batch])
                n += batch
            rates[batch] = n / (time.perf_counter() - started)
        self.batch = max(rates, key=rates.get)
        return {"batch": self.batch, "rates": rates}

    def rate_of(self, batch, n):
        """Rate over at least `n` pictures, in turn from those that are ready."""
        done, started = 0, time.perf_counter()
        while done < n:
            at = done % (len(self.ready) - batch + 1)
            self.compute(self.ready[at : at + batch])
            done += batch
        return done / (time.perf_counter() - started)

    def run(self, n):
        return {"rate": self.rate_of(self.batch, n)}

    def difference(self, features):
        """Largest difference from our features of the same pictures, over the largest of ours."""
        ours = features_of(features, len(self.ready))
        theirs = self.np.asarray(self.compute(self.ready)).reshape(len(ours), -1)
        return float(abs(ours - theirs).max() / abs(ours).max())


class TorchChannelsLast(OnnxRuntime):
    """torchvision's ResNet-18 in eval and inference mode, weights and tensors channels-last: torch's best form."""

    def load(self, state):
        import torch
        import torchvision

        torch.set_num_threads(N_THREADS)
        network = torchvision.models.resnet18(weights=None)
        network.load_state_dict(torch.load(state))
        network.fc = torch.nn.Identity()
        network = network.eval().to(memory_format=torch.channels_last)
        # Ready in the form it wants, as the session's tensors are.
        self.ready = torch.from_numpy(self.ready).contiguous(memory_format=torch.channels_last)

        def compute(batch):
            with torch.inference_mode():
                return network(batch)

        return compute

    def versions(self):
        return versions_of("torch", "torchvision")


class Arithmetic:
    """How fast this machine multiplies and adds: a square sgemm and a convolution of ResNet-18's kind, by torch."""

    def __init__(self):
        import torch

        torch.set_num_threads(N_THREADS)
        self.a, self.b = torch.randn(2048, 2048), torch.randn(2048, 2048)
        self.convolution = torch.nn.Conv2d(128, 128, 3, padding=1, bias=False)
        self.map = torch.randn(32, 128, 28, 28)
        self.torch = torch
        self.run()

    def versions(self):
        return versions_of("torch")

    def run(self):
        """Best rates of five, in GFLOP/s; a multiplication and an addition are two."""
        with self.torch.inference_mode():
            sgemm = best_s(lambda: self.a @ self.b)
            convolution = best_s(lambda: self.convolution(self.map))
        return {
            "sgemm_gflops": 2 * 2048**3 / 1e9 / sgemm,
            "convolution_gflops": 2 * self.map.numel() * 128 * 9 / 1e9 / convolution,
        }


class Tutorial:
    """The tutorial's loop: a frozen ResNet-18 in train() mode with a new last layer, run again in every epoch."""

    def __init__(self, folder, state, n_classes, batch):
        import torch
        import torchvision
        from torchvision import datasets

        torch.set_num_threads(N_THREADS)
        torch.manual_seed(0)
        self.torch = torch
        self.network = torchvision.models.resnet18(weights=None)
        self.network.load_state_dict(torch.load(state))
        for parameter in self.network.parameters():
            parameter.requires_grad = False
        self.network.fc = torch.nn.Linear(512, n_classes)
        pictures = datasets.ImageFolder(folder, transform(SIZE))
        self.loader = torch.utils.data.DataLoader(pictures, batch_size=batch, shuffle=True, num_workers=0)
        with torch.inference_mode():
            self.network(torch.randn(batch, 3, SIZE, SIZE))

    def versions(self):
        return versions_of("torch", "torchvision", "pillow")

    def run(self, n_epochs, of_epochs):
        """Seconds of `of_epochs` epochs, of which `n_epochs` are run; training accuracy as the tutorial adds it up."""
        loss_of = self.torch.nn.CrossEntropyLoss()
        optimizer = self.torch.optim.SGD(self.network.fc.parameters(), lr=1e-3, momentum=0.9)
        started = time.perf_counter()
        for _ in range(n_epochs):
            self.network.train()
            right = n = 0
            for pictures, labels in self.loader:
                optimizer.zero_grad()
                scores = self.network(pictures)
                loss = loss_of(scores, labels)
                loss.backward()
                optimizer.step()
                right += (scores.argmax(1) == labels).sum().item()
                n += len(labels)
        seconds = time.perf_counter() - started
        return {"seconds": seconds / n_epochs * of_epochs, "rate": n * n_epochs / seconds, "accuracy": 100 * right / n}


def best_s(work):
    times = []
    for _ in range(5):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def column(artifact, name, n):
    """The first `n` rows of a column of an artifact's training parts."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts = [pq.read_table(part, columns=[name]) for part in sorted(Path(artifact).glob("train-*.parquet"))]
    return pa.concat_tables(parts)[name].combine_chunks()[:n]


def features_of(artifact, n):
    rows = column(artifact, "feature", n)
    return rows.flatten().to_numpy().reshape(n, -1)


def ready_tensors(examples, n):
    """The first `n` pictures of an examples artifact as the network takes them: enlarged, rescaled, normalised."""
    import numpy as np
    import torch

    rows = column(examples, "pixels", n)
    pixels = np.frombuffer(b"".join(rows.to_pylist()), np.uint8).reshape(n, 32, 32, 3)
    small = torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy()).float() / 255
    large = torch.nn.functional.interpolate(small, (SIZE, SIZE), mode="bilinear", align_corners=False)
    return ((large - MEAN[0]) / STD[0]).numpy()


PEERS = {it.__name__: it for it in (Pillow, AsTheyAre, Loader, OnnxRuntime, TorchChannelsLast, Arithmetic, Tutorial)}

if __name__ == "__main__":
    peer.serve(PEERS)
