"""`Evaluator`: what a wide value is, sample by sample: its exponent, and the pass over it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from golden.errors import InputError
from golden.formats import EXPONENT_MIN, LEFT_SHIFT_MAX
from hwmodel.lowering.context import Context
from hwmodel.lowering.values import Product, Scaled, Sums, Term, Wide, Windows
from hwmodel.lowering.vector_code import ZERO, Plane
from rtl.vector_instructions import (
    Addend,
    Function,
    Operand,
    Output,
    Pass,
    Rectify,
    Total,
)

__all__ = ["Bank", "Evaluation", "Evaluator"]

_JOIN_BITS = 30


@dataclass(frozen=True)
class Bank:
    """One sum a sample and its exponent, in scalars sum, sum + 1, ... and exponent, ..."""

    sum: int
    exponent: int


@dataclass
class Evaluation:
    """One sample of a wide value, ready for passes over it.

    Members
    -------
    fields, planes:
        What a `Pass` and `VectorCode.run` need.
    exponent:
        Scalar with the value's exponent.
    addend_channels:
        Channels that the second operand has, if there are fewer.
    """

    fields: dict[str, int]
    planes: dict[str, Plane]
    exponent: int
    addend_channels: int | None


def _term_plane(context: Context, term: Scaled, sample: int) -> Plane:
    plane = term.codes.plane(sample, context.config)
    down, across = term.stride
    return replace(plane, position=plane.position * across, row=plane.row * down)


@dataclass
class _Registers:
    """Scalars of one value's evaluation, the same for all samples."""

    e: tuple[int, int]
    common: int
    shifts: tuple[int, int]
    bias: tuple[int, int]
    scratch: int


class Evaluator:
    """Emits a value's exponents and says how to pass over it."""

    def __init__(self, context: Context, value: Wide) -> None:
        if len(value.terms) > 2:
            raise InputError("a join must have two operands")
        if len(value.terms) > 1 and any(isinstance(t, Sums | Windows) for t in value.terms):
            raise InputError("a join must have codes or products as operands, not pooled sums")
        self.context, self.value = context, value
        code = context.code
        self._first = code.take(13)
        f = self._first
        # Each term's exponent is followed by its bit length, as tables have them.
        self.registers = _Registers((f, f + 3), f + 6, (f + 7, f + 8), (f + 9, f + 10), f + 11)

    def close(self) -> None:
        """Give the scalars back."""
        self.context.code.give(self._first, 13)

    def sample(self, sample: int, bank: "Bank | None") -> Evaluation:
        """Emit products and scalar work of one sample.

        `bank` takes the sum over the first term's words, and its exponent.
        """
        context, code, value, r = self.context, self.context.code, self.value, self.registers
        grid = value.grid
        planes = [self._words(term, sample) for term in value.terms]
        for term, plane, e in zip(value.terms, planes, r.e, strict=False):
            self._exponent(term, e, sample)
            if isinstance(term, Product) and (len(value.terms) > 1 or bank is not None):
                fields = {"top": e + 1, "measure": 1}
                if bank is not None:
                    fields |= {"total": Total.T, "sum": bank.sum + sample}
                code.run(Pass(operand=Operand.RESULTS, **fields), grid, z=plane)
            if bank is not None and term is value.terms[0]:
                code.compute(Function.ADD, bank.exponent + sample, e)
        exponent = r.e[0]
        shifts = (ZERO, ZERO)
        if len(value.terms) > 1:
            self._align()
            exponent, shifts = r.common, r.shifts
        fields, streams, channels = self._operands(planes, shifts)
        for place, bias in enumerate((value.before, value.after)):
            if bias is not None:
                context.aligned_bias(r.bias[place], bias.scalar, exponent)
        self._biases(fields, streams, exponent)
        return Evaluation(fields, streams, exponent, channels)

    def _words(self, term: Term, sample: int) -> Plane:
        context = self.context
        if isinstance(term, Product):
            return term.make(sample)
        if isinstance(term, Sums):
            grid = term.codes.grid
            words = grid.blocks(context.config)
            z = context.results_page(words, f"{term.codes.name}, sums")
            # One word a block: steps within it would be taken with every beat.
            target = Plane(z, 0, 0, 1)
            context.code.run(
                Pass(operand=Operand.X, accumulate=1, output=Output.RESULTS),
                grid,
                x=term.codes.plane(sample, context.config),
                w=target,
            )
            return target
        if isinstance(term, Windows):
            return self._window_sums(term, sample)
        return _term_plane(context, term, sample)

    def _window_sums(self, term: Windows, sample: int) -> Plane:
        """One pass an element of the window."""
        context, config = self.context, self.context.config
        grid = term.grid
        words = grid.positions * grid.blocks(config)
        z = context.results_page(words, f"{term.codes.name}, windows")
        target = Plane.words(z, grid)
        for place in range(term.kernel[0] * term.kernel[1]):
            y, x = divmod(place, term.kernel[1])
            codes = term.tap(sample, y, x, config)
            if place == 0:
                what = Pass(operand=Operand.X, output=Output.RESULTS)
                context.code.run(what, grid, x=codes, w=target)
            else:
                what = Pass(operand=Operand.RESULTS, addend=Addend.Y, output=Output.RESULTS)
                context.code.run(what, grid, y=codes, z=target, w=target)
        return target

    def _exponent(self, term: Term, e: int, sample: int) -> None:
        context, code = self.context, self.context.code
        if isinstance(term, Product):
            code.load(e, term.source.scale.address + sample)
            code.compute(Function.ADD, e, e, value=term.weight_exponent + term.source.offset)
        elif isinstance(term, Sums | Windows):
            code.load(e, term.codes.scale.address + sample)
            code.compute(Function.ADD, e, e, value=term.shift + term.codes.offset)
        else:
            context.load_scale(e, term.codes, sample)
            if term.factor is not None:
                code.compute(Function.ADD, e, e, term.factor.exponent)
                # Codes times a factor of zero are all zero.
                code.compute(Function.SELECT, e + 1, term.factor.code, c=e + 1, value=0)

    def _align(self) -> None:
        """`golden.values.join`: the finest exponent at which no operand outgrows its room."""
        code, r = self.context.code, self.registers
        scratch = r.scratch
        for e in r.e:
            code.compute(Function.SELECT, e + 2, e + 1, c=e, value=EXPONENT_MIN)
        code.compute(Function.MAXIMUM, r.common, r.e[0] + 2, r.e[1] + 2)
        finest = r.shifts[0]
        code.compute(Function.ADD, finest, r.common)
        for term, e in zip(self.value.terms, r.e, strict=True):
            if isinstance(term, Scaled):
                # Codes and their multiples have 15 bits at most. Their table's bit length is that
                # of the value before it was shifted, and says only whether all are zero.
                code.compute(Function.ADD, scratch, e, value=LEFT_SHIFT_MAX)
            else:
                # min(15, 30 - top)
                code.constant(scratch, _JOIN_BITS)
                code.compute(Function.SUBTRACT, scratch, scratch, e + 1)
                code.compute(Function.MINIMUM, scratch, scratch, value=LEFT_SHIFT_MAX)
                code.compute(Function.ADD, scratch, scratch, e)
            code.compute(Function.SELECT, scratch, e + 1, finest, scratch)
            code.compute(Function.MINIMUM, r.common, r.common, scratch)
        for e, shift in zip(r.e, r.shifts, strict=True):
            code.compute(Function.SUBTRACT, shift, e, r.common)

    def _operands(
        self, planes: Sequence[Plane], shifts: tuple[int, int]
    ) -> tuple[dict[str, int], dict[str, Plane], int | None]:
        """u is the results' word or what is multiplied; v is plain codes, of so many channels."""
        order = sorted(
            zip(self.value.terms, planes, shifts, strict=False),
            key=lambda item: isinstance(item[0], Scaled) and item[0].factor is None,
        )
        (u, u_plane, u_shift), *others = order
        fields: dict[str, int] = {"u_shift": u_shift}
        streams: dict[str, Plane] = {}
        channels = None
        if isinstance(u, Scaled):
            fields["operand"] = Operand.X
            if u.factor is not None:
                fields |= {"operand": Operand.X_FACTOR, "factor": u.factor.code}
            streams["x"] = u_plane
        else:
            fields["operand"] = Operand.RESULTS
            streams["z"] = u_plane
        for v, v_plane, v_shift in others:
            if not isinstance(v, Scaled) or v.factor is not None:
                raise InputError("a join must have plain codes as one of its operands")
            fields |= {"addend": Addend.Y, "v_shift": v_shift}
            streams["y"] = v_plane
            channels = v.codes.grid.channels
        return fields, streams, channels

    def _biases(self, fields: dict[str, int], streams: dict[str, Plane], exponent: int) -> None:
        value, r, config = self.value, self.registers, self.context.config
        if value.channel is not None:
            if "addend" in fields or value.before is not None or "x" in streams:
                raise InputError("biases of outputs must be the only ones in front of a ReLU")
            # RSH(bias, its exponent - exponent)
            self.context.code.compute(Function.SUBTRACT, r.shifts[1], self.context.twelve, exponent)
            fields |= {"addend": Addend.Y_X, "v_shift": r.shifts[1]}
            low = value.channel.address
            streams["x"] = Plane(low, 0, 0, config.columns)
            streams["y"] = Plane(low + value.channel.plane, 0, 0, config.columns)
        before, after = value.before, value.after
        if before is not None and after is not None:
            if "addend" in fields:
                raise InputError("a join must have one bias in front of its ReLU or behind it")
            fields |= {
                "addend": Addend.SCALAR, "v_shift": r.bias[0], "rectify": Rectify.FIRST,
                "bias": r.bias[1],
            }  # fmt: skip
        elif before is not None:
            fields |= {"bias": r.bias[0], "rectify": _last(value)}
        elif after is not None:
            fields |= {"bias": r.bias[1], "rectify": Rectify.FIRST}
        else:
            fields["rectify"] = _last(value)


def _last(value: Wide) -> Rectify:
    return Rectify.LAST if value.rectified else Rectify.NONE
