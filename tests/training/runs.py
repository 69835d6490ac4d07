"""Small runs that several tests make: specs, data, and what was told."""

import numpy as np

import netspec
from netspec.training.loop.job import Hardware, Outcome, Request
from netspec.training.run import train

#: everything that has a state: batch norm's statistics, dropout's random numbers, momentum, a schedule with a memory, early stopping
STATEFUL = """
net small {
  input x: [N, 6]
  output logits = x -> linear(8) -> bn -> relu -> dropout(0.2) -> linear(3)
  train first of small {
    loss      = cross_entropy(logits, label) + 1e-4 * l2(weights)
    optimizer = adam(lr = 0.02)
    schedule  = warmup(1) then plateau(patience = 0)
    batch     = 8
    epochs    = 4
    split     = [0.75, 0.25]
    stop      = early(patience = 3)
    clip      = norm(1.0)
    normalize = standardize
  }
}
"""


def data(count: int = 48, seed: int = 0, inputs: int = 6) -> dict[str, np.ndarray]:
    """Points of three classes that a small network tells apart."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(count, inputs)).astype("float32")
    return {"x": 2 * x + 1, "label": x[:, :3].argmax(1)}


def request(text: str = STATEFUL, given=None, settings=None, **options) -> Request:
    """A request to train all sections of a spec."""
    from netspec.training import chosen, overridden

    graph = netspec.loads(text).graph
    sections = tuple(overridden(section, settings or {}) for section in chosen(graph))
    options = {"hardware": Hardware(device="cpu", threads=1), **options}  # on a busy machine threads wait for one another
    return Request(graph, sections, data() if given is None else given, **options)


def run(text: str = STATEFUL, given=None, settings=None, watch=None, **options) -> Outcome:
    """Train all sections of a spec."""
    return train(request(text, given, settings, **options), (lambda event: None) if watch is None else watch)


def same(one, other) -> bool:
    """Whether two tables of tensors are equal to the last bit."""
    return one.keys() == other.keys() and all(one[n].numpy().tobytes() == other[n].numpy().tobytes() for n in one)


class Log(list):
    """A watcher that keeps what it was told."""

    def __call__(self, event) -> None:
        self.append(event)

    def of(self, kind: type) -> list:
        return [event for event in self if isinstance(event, kind)]
