"""Random words on scalars: arithmetic, and transfers near to each other or far apart."""

from cosim.random_draft import SCALARS_KEPT, Draft
from cosim.random_words import draw_word
from rtl.vector_instructions import Function, LoadScalars, Scalar, StoreScalars

__all__ = ["large_scalar", "many_scalars", "scalar", "transfer_scalars"]


def scalar(d: Draft) -> None:
    """Compute with random scalars."""
    function = Function(d.number(0, max(Function)))
    count = d.number(1, 3)
    fixed = {name: d.number(SCALARS_KEPT, 255 - count) for name in "dabc"}
    fixed["immediate"] = d.number(0, 1)
    shift = function in (Function.SHIFT, Function.SHIFT_RANDOM)
    if shift or d.number(0, 3) == 0:
        fixed |= {"immediate": 1, "value": d.number(-15, 63)}
    d.run(draw_word(d.rng, Scalar, d.config, function=function, count=count, **fixed))


def large_scalar(d: Draft) -> None:
    """Make a scalar of 48 bits."""
    number = d.number(SCALARS_KEPT, 255)
    for function, value in (
        (Function.ADD, None), (Function.SHIFT, -d.number(0, 2)), (Function.SHIFT, -15),
        (Function.XOR, None),
    ):  # fmt: skip
        fixed = {} if value is None else {"value": value}
        a = 0 if function is Function.ADD else number
        d.run(draw_word(d.rng, Scalar, d.config, function=function, d=number, a=a,
                           count=1, immediate=1, **fixed))  # fmt: skip


def many_scalars(d: Draft) -> None:
    """Compute, store or load nearly all of them."""
    count = d.number(200, 235)
    first = d.number(SCALARS_KEPT, 255 - count)
    which = d.number(0, 2)
    if which == 0:
        d.run(draw_word(d.rng, Scalar, d.config, function=Function.SUBTRACT, d=first,
                           a=first, b=1, c=1, count=count, next_b=0, next_c=0))  # fmt: skip
        return
    kind = LoadScalars if which == 1 else StoreScalars
    size = d.number(1, 4)
    d.run(draw_word(d.rng, kind, d.config, d=first, count=count, size=size, step=size,
                       plane=1, address=d.number(0, d.page)))  # fmt: skip


def transfer_scalars(d: Draft) -> None:
    """Load or store scalars, near to each other or far apart."""
    kind = (LoadScalars, StoreScalars)[d.number(0, 1)]
    size = d.number(1, 4)
    count = d.number(1, 4)
    fixed: dict[str, int] = {"size": size, "count": count, "d": d.number(1, 255 - count)}
    room = d.pages * d.page - 1
    if count > 1:
        fixed["step"] = d.number(0, room // (2 * (count - 1)))
        room -= fixed["step"] * (count - 1)
    if size > 1:
        fixed["plane"] = d.number(0, room // (size - 1))
        room -= fixed["plane"] * (size - 1)
    d.run(draw_word(d.rng, kind, d.config, address=d.number(0, room), **fixed))
