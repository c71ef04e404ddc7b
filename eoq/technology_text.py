"""The text of a technology file: entries of TOML, each number with unit, source and certainty."""

from hwmodel.toml_reader import Band

__all__ = [
    "block_entry",
    "macro_entry",
    "memory_entry",
    "operation_entry",
    "relative_entry",
    "work_entry",
]


def operation_entry(op: str, number_format: str, energy_pj: Band, area_um2: float) -> str:
    """One operation of a format, measured."""
    return (
        f'[[operation]]\nop = "{op}"\nformat = "{number_format}"\n'
        f"energy = {_number(energy_pj, 'pJ', 'synth', 'measured')}\n"
        f"area = {_number(_exactly(area_um2), 'um2', 'synth', 'measured')}\n"
    )


def relative_entry(op: str, of: str, energy: Band, area: float, source: str, certainty: str) -> str:
    """An operation as a multiple of another in the same format."""
    return (
        f'[[relative]]\nop = "{op}"\nof = "{of}"\n'
        f"energy = {_number(energy, 'x', source, certainty)}\n"
        f"area = {_number(_exactly(area), 'x', source, certainty)}\n"
    )


def memory_entry(capacity: int | None, energy_pj: Band, source: str) -> str:
    """An access of 64 bits to a memory of so many bytes; without a capacity it is DRAM."""
    lines = '[[memory]]\nlevel = "dram"\n'
    if capacity is not None:
        lines = f'[[memory]]\nlevel = "sram"\ncapacity = {{ value = {capacity}, unit = "B" }}\n'
    return lines + f"energy = {_number(energy_pj, 'pJ/64b', source, 'assumed')}\n"


def work_entry(part: str, per: str, energy_pj: float) -> str:
    """Energy of an element or a lane by what changes in it."""
    return (
        f'[[{part}]]\nper = "{per}"\n'
        f"energy = {_number(_exactly(energy_pj), 'pJ', part, 'measured')}\n"
    )


def block_entry(name: str, per: str, area_um2: float) -> str:
    """Area of a block of the core by what it is made of."""
    return (
        f'[[block]]\nname = "{name}"\nper = "{per}"\n'
        f"area = {_number(_exactly(area_um2), 'um2', 'areas', 'measured')}\n"
    )


def macro_entry(per: str, area_um2: float) -> str:
    """Area of a memory, by macro and by bit."""
    return (
        f'[[macro]]\nper = "{per}"\n'
        f"area = {_number(_exactly(area_um2), 'um2', 'macros', 'assumed')}\n"
    )


def _exactly(value: float) -> Band:
    return Band(value, value, value)


def _number(band: Band, unit: str, source: str, certainty: str) -> str:
    low, nominal, high = (float(f"{value:.6g}") for value in band)
    ends = "" if low == nominal == high else f"low = {low!r}, high = {high!r}, "
    return (
        f'{{ value = {nominal!r}, {ends}unit = "{unit}", source = "{source}", '
        f'certainty = "{certainty}" }}'
    )
