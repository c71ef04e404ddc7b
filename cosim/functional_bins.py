"""Functional coverage: what a co-simulation has to have met, and what would go unseen without it.

A bin counts how often something happened in runs whose every bit and cycle was compared. What the
bins are counted from is in `cosim.value_bins` (numbers and words) and `cosim.time_bins` (cycles).
"""

from collections import Counter
from collections.abc import Mapping

from rtl.instructions import Fault

__all__ = ["BINS", "Hits", "fault_bin", "missed"]

Hits = Counter[str]
"""How often each bin was hit."""

BINS: Mapping[str, str] = {
    # Quantisation.
    "saturates above": "127.5 and more wraps to a negative code",
    "saturates below": "-127.5 and less wraps, or becomes -128, which no code is",
    "shift of 0": "half of nothing is added",
    "shift of 63": "the shifter's last stage is missing",
    "tie above zero": "a positive half goes down",
    "tie below zero": "a negative half goes away from zero, not up",
    "random rounding goes up": "the draw is not compared, or with the wrong bits",
    "random rounding goes down": "every draw is above the remainder",
    "tensor of zeros": "the bit length of zero is not zero",
    "sample shifted out": "an error far below the others of its batch leaves bits behind",
    "exponent clamped below": "an exponent leaves its 8 bits downwards",
    "exponent clamped above": "an exponent leaves its 8 bits upwards",
    "scalar saturates at 8 bits": "a large multiplier or gradient wraps",
    "zeros have no say": "the exponent of a sample of zeros becomes the batch's",
    # Joins and what else a pass does.
    "join shifts the product left": "a left shift is taken for a right one",
    "join shifts the product right": "a right shift is taken for a left one",
    "join shifts the shortcut left": "the second operand's shift is the first one's",
    "join shifts the shortcut right": "the second operand's shift is the first one's",
    "shortcut with fewer channels": "lanes past the shortcut's channels add what is in memory",
    "multiplied codes": "a Fixup multiplier is taken unsigned",
    "biases of channels": "the bytes of a 16-bit bias are put together wrongly",
    "last group of masks is partial": "masks of a tensor's last beats are lost or go on too long",
    "last group of masks is full": "a group of masks is written twice or not at all",
    "ReLU lets nothing through": "a mask of zeros does not stop the error",
    "ReLU lets all through": "a mask of ones stops part of the error",
    "pass with a partial block of channels": "lanes without a channel write",
    "sum over positions": "the global mean's sums do not start at zero",
    "weight decays": "the decay is not added, or with the gradient's draw",
    "update is shifted left": "a halved learning rate gives back too little momentum",
    # Products.
    "partial rows": "rows past the reduction multiply what lies behind the weights",
    "partial columns": "columns past the outputs reach the results' readers",
    "partial positions": "a weight gradient sums positions that do not exist",
    "partial channels, transposed": "a weight gradient counts words of channels that do not exist",
    "fewer vectors than a tile lasts": "a tile's weights are replaced while it is multiplied",
    "more vectors than a tile lasts": "weights are taken before their time",
    "packed taps": "a window's line of several pixels is read past its ends",
    "padding above and left": "lines and pixels in front of the input are read from memory",
    "padding below and right": "lines and pixels behind the input are read from memory",
    "backward phase without taps": "pixels that no output has read get old sums as their error",
    "weight gradient over several pages": "blocks of columns land in each other's words",
    "reduction at the accumulator's bound": "a partial sum wraps",
    # Time.
    "matrix unit waits for a semaphore": "a product begins before its operands are there",
    "vector unit waits for a semaphore": "a pass reads sums that are not complete",
    "DMA waits for a semaphore": "parameters are stored before they are learned",
    "matrix unit's queue is full": "a word is lost or dealt twice at a full queue",
    "vector unit's queue is full": "a word is lost or dealt twice at a full queue",
    "DMA's queue is full": "a word is lost or dealt twice at a full queue",
    "operands in one page": "two reads of one page get the same data",
    "products overlap": "a product's sums are taken for its successor's",
    "all units at once": "units disturb each other in a memory",
    "transfer across a boundary of 4096 bytes": "a burst leaves its 4096 bytes, which AXI4 forbids",
    "transfer of more than a burst": "the second burst begins at the wrong address",
    "program after a program": "something of the last program is left in the core",
    "program after an abort": "an abort leaves a queue, a semaphore or a burst behind",
    # Faults: each has a program of its own (`cosim.fault_programs`).
    "fault OP": "a word that there is not is run as another one",
    "fault FIELD": "a field outside its range is taken as it is",
    "fault ADDRESS": "an access past a memory's end wraps to its beginning",
    "fault CONFLICT": "a product multiplies what two reads of one page collide to",
    "fault ALIGNMENT": "a transfer of part of a line moves other bytes",
    "fault BUS": "data that the bus answered with an error are taken for good",
    "fault SEMAPHORE": "a signal too many is lost",
    "fault DEADLOCK": "a program that waits for itself hangs",
    "fault NO_END": "a program without END never stops",
    "fault ABORTED": "a program cannot be stopped",
    "fault UNIT": "a word for a unit that there is not is dealt to another one",
    "program after a fault": "a fault leaves a queue, a semaphore or itself behind",
}  # fmt: skip
"""Name of each bin and the failure that would go unseen if it were never hit."""


def fault_bin(fault: Fault) -> str:
    """Name of the bin for a fault that a program was made for."""
    return f"fault {fault.name}"


def missed(hits: Mapping[str, int]) -> list[str]:
    """Bins that were not hit."""
    return [name for name in BINS if not hits.get(name)]
