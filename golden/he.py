"""The plain network: He's initial weights, no normalisation, nothing in its place.

He et al., "Delving Deep into Rectifiers" (arXiv 1502.01852), by outputs, as the other schemes in
floating point have it. It is what Fixup and batch normalisation are compared with.

Our choices: a bias a channel stands where a normalisation stood, unless the layer before has one,
as networks without normalisation have it; the classifier has a variance of one over its inputs, as
`fp32-bn` has it; SGD as in `fp32-bn`.
"""

import math

import numpy as np

from golden.float_build import Parts
from golden.float_layers import Floats
from golden.float_learner import Setup
from golden.network import ChannelBias, Network, Normalization

__all__ = ["FP32_HE", "without_normalization"]


def without_normalization(network: Network) -> Network:
    """Return the network with a bias a channel in place of each normalisation."""
    result = Network(network.name, network.input_shape)
    renamed = {"input": "input"}
    for layer in network:
        inputs = [renamed[name] for name in layer.inputs]
        operator = layer.operator
        if isinstance(operator, Normalization):
            (source,) = inputs
            if source != "input" and "bias" in result.layers[source].parameters:
                renamed[layer.name] = source
                continue
            operator = ChannelBias()
        renamed[layer.name] = result.add(layer.name, operator, *inputs)
    return result


def _parts(network: Network) -> Parts:
    def initial(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> Floats | None:
        if name != network.output:
            return None
        return rng.normal(0.0, 1 / math.sqrt(shape[1]), shape)

    return Parts(initial=initial)


FP32_HE = Setup(rewrite=without_normalization, parts=_parts)
"""See the module's text."""
