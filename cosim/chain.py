"""Deep, narrow networks: exponents that grow from layer to layer reach the ends of their range."""

import re

from golden.network import Activation, Flatten, Linear, Network

__all__ = ["chain"]

_NAME = re.compile(r"chain-(\d+)x(\d+)")


def chain(name: str) -> Network | None:
    """Return "chain-LxW": L linear layers of W outputs with ReLUs and no bias, for the digits.

    A bias would bring exponents back to its own. None for any other name.
    """
    found = _NAME.fullmatch(name)
    if not found:
        return None
    layers, width = map(int, found.groups())
    network = Network(name, (1, 8, 8))
    network.add("flatten", Flatten())
    for number in range(layers):
        network.add(f"hidden{number}", Linear(width, bias=False))
        network.add(f"relu{number}", Activation())
    network.add("classifier", Linear(10, bias=False))
    return network
