"""How many products a training step sums, and what a 32-bit accumulator is proven to hold.

Codes are within +-127, so a sum of 133,144 products is within 32 bits whatever they are
(`golden.matmul.MAX_REDUCTION`).
"""

import math

from golden.errors import InputError
from golden.matmul import MAX_REDUCTION
from golden.network import Convolution, Layer, Linear, Network

__all__ = ["check_reductions", "largest_batch", "reductions"]


def reductions(layer: Layer) -> dict[str, int]:
    """Products that one sum of each of a layer's three products has; the last one a sample.

    forward: in/groups * taps; backward_data: out/groups * taps; backward_weight: positions.
    """
    match layer.operator:
        case Convolution(groups=groups, kernel=kernel):
            outputs, inputs, *_ = layer.parameters["weight"]
            taps = math.prod(kernel)
            return {
                "forward": inputs * taps,
                "backward_data": outputs // groups * taps,
                "backward_weight": math.prod(layer.shape[1:]),
            }
        case Linear():
            outputs, inputs = layer.parameters["weight"]
            positions = math.prod(layer.shape[:-1])
            return {"forward": inputs, "backward_data": outputs, "backward_weight": positions}
    return {}


def check_reductions(network: Network) -> None:
    """Raise InputError, which names the layer, when a sum may pass 32 bits at any batch."""
    for layer in network:
        for phase, count in reductions(layer).items():
            if count > MAX_REDUCTION:
                raise InputError(
                    f"network {network.name!r}, layer {layer.name!r}: a sum of {phase} must have "
                    f"at most {MAX_REDUCTION} products for 32 bits, not {count}"
                )


def largest_batch(network: Network) -> int:
    """Most samples, a power of two, whose weight gradients are within 32 bits."""
    positions = max((reductions(layer).get("backward_weight", 1) for layer in network), default=1)
    return 1 << ((MAX_REDUCTION // positions).bit_length() - 1)
