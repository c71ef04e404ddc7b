"""Ports of the memories that the units share. Directions are the client's; memories flip them.

A request is taken in a cycle with `enable` and `ready`; until then the client keeps it. Data comes
a fixed number of cycles after that, for one cycle, so a client that never waits needs no buffers.
"""

from typing import Any

from amaranth.hdl import signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl.config import CoreConfig

__all__ = [
    "COLUMN_LATENCY",
    "RESULTS_LATENCY",
    "SCRATCHPAD_LATENCY",
    "ResultsColumns",
    "ResultsRead",
    "ResultsWrite",
    "ScratchpadRead",
    "ScratchpadWrite",
]

SCRATCHPAD_LATENCY = 3
"""Cycles from the one in which a read is taken to the one in which its data is there."""

RESULTS_LATENCY = 2
"""The same for whole words of the results memory."""

COLUMN_LATENCY = 1
"""The same for the matrix unit's columns of it."""


def _bytes(lanes: int) -> data.ArrayLayout:
    return data.ArrayLayout(unsigned(8), lanes)


class ScratchpadRead(wiring.Signature):
    """`lanes` bytes at any byte address.

    Parameters
    ----------
    config:
        Size of the core.
    lanes:
        1 to `config.line_bytes`.
    strided:
        Whether the bytes may be further apart.

    Members
    -------
    enable, address:
        A request for the bytes at address, address + 1, ...
    pitch:
        Only if strided: lanes are pitch * line_bytes + 1 bytes apart.
    ready:
        Whether a request would be taken; depends on all clients' requests.
    data:
        Valid `SCRATCHPAD_LATENCY` cycles after its request was taken, in that cycle only.
    """

    def __init__(self, config: CoreConfig, lanes: int, *, strided: bool = False) -> None:
        bits = config.scratchpad_address_bits
        members: dict[str, Any] = {
            "enable": Out(1),
            "address": Out(bits),
            "ready": In(1),
            "data": In(_bytes(lanes)),
        }
        if strided:
            members["pitch"] = Out(bits - (config.line_bytes.bit_length() - 1))
        super().__init__(members)


class ScratchpadWrite(wiring.Signature):
    """`lanes` bytes to any byte address; seen by every read taken in a later cycle.

    Members
    -------
    enable, address, data, mask:
        A request to store data[l] at address + l where mask[l] is set.
    ready:
        Whether a request would be taken; depends on all clients' requests.
    """

    def __init__(self, config: CoreConfig, lanes: int) -> None:
        super().__init__(
            {
                "enable": Out(1),
                "address": Out(config.scratchpad_address_bits),
                "data": Out(_bytes(lanes)),
                "mask": Out(lanes),
                "ready": In(1),
            }
        )


def _sums(config: CoreConfig) -> data.ArrayLayout:
    return data.ArrayLayout(signed(config.accumulator_bits), config.columns)


class ResultsColumns(wiring.Signature):
    """The matrix unit's side of the results memory: every column on its own.

    Members
    -------
    busy:
        One bit a page: the matrix unit works on it, and nobody else may.
    r_enable, r_address, r_data:
        Reads, one a column; data `COLUMN_LATENCY` cycles later.
    w_enable, w_address, w_data:
        Writes, one a column; seen by every read of a later cycle.
    """

    def __init__(self, config: CoreConfig) -> None:
        addresses = data.ArrayLayout(config.results_address_bits, config.columns)
        super().__init__(
            {
                "busy": Out(config.results_pages),
                "r_enable": Out(config.columns),
                "r_address": Out(addresses),
                "r_data": In(_sums(config)),
                "w_enable": Out(config.columns),
                "w_address": Out(addresses),
                "w_data": Out(_sums(config)),
            }
        )


class ResultsRead(wiring.Signature):
    """One word of the results memory: C partial sums.

    Members
    -------
    enable, address:
        A request for one word.
    ready:
        Whether it would be taken: not while the matrix unit works on its page.
    data:
        Valid `RESULTS_LATENCY` cycles after its request was taken, in that cycle only.
    """

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(
            {
                "enable": Out(1),
                "address": Out(config.results_address_bits),
                "ready": In(1),
                "data": In(_sums(config)),
            }
        )


class ResultsWrite(wiring.Signature):
    """One word of the results memory; seen by every read taken in a later cycle.

    Members
    -------
    enable, address, data:
        A request to store one word.
    ready:
        Whether it would be taken: not while the matrix unit works on its page.
    """

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(
            {
                "enable": Out(1),
                "address": Out(config.results_address_bits),
                "data": Out(_sums(config)),
                "ready": In(1),
            }
        )
