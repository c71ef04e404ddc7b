"""The end of a network that is trained: one number a class, and a softmax that is the loss's."""

import math

from golden.errors import InputError
from golden.network import (
    Activation,
    Convolution,
    Flatten,
    GlobalAveragePool,
    Linear,
    Network,
    Reshape,
    Softmax,
)

__all__ = ["split_classifier"]

_BEHIND = (Activation, Flatten, GlobalAveragePool, Reshape)
"""What may stand between the classifier and the classes (SqueezeNet: ReLU and a mean)."""


def split_classifier(network: Network) -> tuple[Network, str | None]:
    """Return the network as its loss sees it, and its classifier.

    A softmax at the end is left out: it is part of the loss. The output is flattened, if it is not:
    one number a class. The classifier, the last linear layer or convolution, is one that may begin
    with weights of zero; None where an activation behind it would never let go of them.

    Raises InputError when the network does not end in a classifier.
    """
    layers = list(network)
    while layers and isinstance(layers[-1].operator, Softmax):
        layers.pop()
    name = layers[-1].name if layers else "input"
    rectified = False
    while name != "input" and isinstance(network.layers[name].operator, _BEHIND):
        rectified |= isinstance(network.layers[name].operator, Activation)
        name = network.layers[name].inputs[0]
    shape = network.shape_of(layers[-1].name) if layers else ()
    if (
        name == "input"
        or not isinstance(network.layers[name].operator, Linear | Convolution)
        or math.prod(shape) != shape[0]
    ):
        raise InputError(
            f"network {network.name!r}: training requires a linear layer or a convolution at the "
            "end, and one number a class"
        )
    classifier = None if rectified else name
    if len(layers) == len(network) and len(shape) == 1:
        return network, classifier
    result = Network(network.name, network.input_shape)
    for layer in layers:
        result.add(layer.name, layer.operator, *layer.inputs)
    if len(shape) > 1:
        name = "classes"
        while name in network.layers:
            name += "_"
        result.add(name, Flatten())
    return result, classifier
