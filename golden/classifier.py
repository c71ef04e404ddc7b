"""The end of a network that is trained: a linear classifier, whose softmax belongs to the loss."""

from golden.errors import InputError
from golden.network import Linear, Network, Softmax

__all__ = ["split_classifier"]


def split_classifier(network: Network) -> tuple[Network, str]:
    """Return the network without a softmax at its end, and the name of its classifier.

    Raises InputError when its output is not that of a linear layer, one number a class.
    """
    layers = list(network)
    while layers and isinstance(layers[-1].operator, Softmax):
        layers.pop()
    last = layers[-1] if layers else None
    if last is None or not isinstance(last.operator, Linear) or len(last.shape) != 1:
        raise InputError(
            f"network {network.name!r}: training requires a linear classifier at the end"
        )
    if len(layers) == len(network):
        return network, last.name
    result = Network(network.name, network.input_shape)
    for layer in layers:
        result.add(layer.name, layer.operator, *layer.inputs)
    return result, last.name
