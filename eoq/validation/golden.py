"""Operations: the closed-form ledger against golden's step, instrumented."""

from collections.abc import Callable, Iterator

import numpy as np

from cosim.instrumented import SHIFTED, counted_pieces
from eoq.validation.check import Check
from golden import networks
from golden.initialization import build
from golden.schemes import EOQ
from hwmodel.conventions import Conventions
from hwmodel.ledger import MAC_PHASES, ledger
from hwmodel.step import Step, total

__all__ = ["GROUP", "golden_checks"]

GROUP = "ledger against golden's step"

_NETWORKS = ("mlp", "lenet5", "resnet8", "resnet20")
_BATCH = 4


def golden_checks(tell: Callable[[str], None] = lambda _: None) -> Iterator[Check]:
    """Run a step of each network and count what it does; every row must be equal."""
    for name in _NETWORKS:
        tell(f"{name}: counting a step's operations")
        network = networks.load(name)
        step = Step(network, EOQ, _BATCH)
        model = build(step.network, 0)
        codes = np.random.default_rng(1).integers(-127, 128, (_BATCH, *network.input_shape))
        with counted_pieces() as counts:
            model.step(codes, np.arange(_BATCH) % 10, 1)
        unpadded = ledger(Step(network, EOQ, _BATCH, Conventions(padding=False)))
        rows = [row for row in ledger(step) if row.layer != "loss"]
        # A multiplier's factor and its gradient are shifted beside the pieces.
        factors = sum(
            int(np.prod(layer.parameters["multiplier"]))
            for layer in step.network
            if "multiplier" in layer.parameters
        )
        shifted = sum(counts[piece] for piece in SHIFTED if piece != "update")
        quantized = {"op": "shift", "phase": "quantization"}
        updated = {"op": "shift", "phase": "update"}
        for what, ours, theirs in (
            ("multiply-accumulates, taps on padding left out",
             sum(total(unpadded, op="mac", phase=phase) for phase in MAC_PHASES), counts["mac"]),
            ("shifts of conversions", total(rows, **quantized), shifted + 2 * factors),
            ("shifts of the update", total(rows, **updated),
             2 * counts["update"] + counts["decay"]),
            ("random draws of the update", total(rows, op="random", phase="update"),
             counts["update"]),
        ):  # fmt: skip
            yield Check(
                group=GROUP, what=f"{name}, batch {_BATCH}: {what}", model=ours, reference=theirs,
                unit="", bound=0, source="golden, instrumented",
            )  # fmt: skip
