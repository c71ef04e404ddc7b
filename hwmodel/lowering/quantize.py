"""How values become codes: two passes a sample, one that measures and one that writes."""

from collections.abc import Callable

from golden.errors import InputError
from hwmodel.lowering.context import Context
from hwmodel.lowering.emitter import Produced
from hwmodel.lowering.evaluate import Bank, Evaluator
from hwmodel.lowering.memory_map import Role
from hwmodel.lowering.values import Codes, Wide
from hwmodel.lowering.vector_code import Grid, Plane
from rtl.vector_instructions import Function, Operand, Output, Pass, Rectify, Total

__all__ = ["quantize", "rewrite"]


def quantize(
    context: Context,
    value: Wide,
    name: str,
    *,
    role: Role,
    zero_exponent: int,
    phase: str,
    tensor: str,
    avoid: tuple[int, ...] = (),
    codes_sums: "Bank | None" = None,
    term_sums: "Bank | None" = None,
    each: Callable[[int], None] | None = None,
    golden_grid: Grid | None = None,
) -> Codes:
    """QA or QE (`golden.values.quantize_samples`), sample by sample: two passes each.

    Parameters
    ----------
    value:
        What is quantised.
    name, phase, tensor:
        golden's name of the layer, and how its trace calls the codes.
    role, avoid:
        For the place of the codes.
    zero_exponent:
        Of a sample that is all zero.
    codes_sums:
        Takes the sums of each sample's codes, and their exponents.
    term_sums:
        Takes the sums of the first term's words.
    each:
        Called behind every sample.
    golden_grid:
        What golden has in place of `value`'s grid, where that was flattened.
    """
    code = context.code
    codes = context.new_codes(name, value.grid, role, avoid)
    evaluator = Evaluator(context, value)
    mask = context.new_mask(value.rectified, value.grid) if value.rectified else None
    masks = [context.masks[each_name] for each_name in value.masks]
    if len(masks) > 1:
        raise InputError(f"layer {name!r}: an error must pass one ReLU between two quantisers")
    e = code.take(3)
    for n in range(context.samples):
        if phase == "forward":
            context.emitter.about(name, phase, tensor, n)
        evaluation = evaluator.sample(n, term_sums)
        context.emitter.about(name, phase, tensor, n)
        streams = dict(evaluation.planes)
        fields = dict(evaluation.fields)
        if masks:
            fields["mask_in"] = 1
        at_mask = masks[0].address(n) if masks else mask.address(n) if mask else None
        channels = evaluation.addend_channels
        code.run(
            Pass(**fields, measure=1, top=e + 1),
            value.grid, **streams, mask=at_mask if masks else None, addend_channels=channels,
        )  # fmt: skip
        # The exponent goes in front of the bit length, as in the table; the excess is behind it.
        code.compute(Function.SUBTRACT, e, evaluation.exponent, e + 2)
        code.compute(Function.CLAMP, e, e)
        code.compute(Function.SELECT, e, e + 1, c=e, value=zero_exponent)
        code.store(e, codes.scale.address + n, count=2, step=context.samples)
        if mask is not None:
            fields["mask_out"] = 1
        if codes_sums is not None:
            code.compute(Function.ADD, codes_sums.exponent + n, e)
            fields |= {"total": Total.O, "sum": codes_sums.sum + n}
        code.run(
            Pass(**fields, output=Output.BYTES, shift=e + 2),
            value.grid, **streams, mask=at_mask, addend_channels=channels,
            output=codes.plane(n, context.config),
        )  # fmt: skip
        grid = golden_grid or value.grid
        context.emitter.produce(
            Produced(f"{name}.{phase}.{tensor}", n, codes.address(n),
                     (grid.height, grid.width, grid.channels))
        )  # fmt: skip
        context.emitter.produce(
            Produced(f"{name}.{phase}.{tensor}_exponent", n, codes.scale.address + n, (),
                     "exponent")
        )  # fmt: skip
        if each is not None:
            each(n)
    code.give(e, 3)
    evaluator.close()
    return codes


def rewrite(
    context: Context,
    source: Codes,
    name: str,
    *,
    phase: str,
    role: Role,
    avoid: tuple[int, ...] = (),
    grid: Grid | None = None,
    plane: Callable[[int], Plane] | None = None,
    bias: int | None = None,
    rectified: str = "",
    masked: str = "",
    sums: "Bank | None" = None,
) -> Codes:
    """Codes made of codes with the same exponents: a bias, a ReLU, a mask, a spread.

    Parameters
    ----------
    source, plane:
        What is read, and where each sample's elements are; as they lie by default.
    name, phase:
        For labels.
    role, avoid:
        For the place of the codes.
    grid:
        Of the result, where it is not that of the source.
    bias:
        Scalar that holds a 16-bit bias.
    rectified, masked:
        ReLU that is applied, or whose masks are.
    sums:
        Takes the sums of each sample's codes, and their exponents.
    """
    code = context.code
    grid = grid or source.grid
    codes = context.new_codes(name, grid, role, avoid)
    mask = context.new_mask(rectified, grid) if rectified else None
    used = context.masks[masked] if masked else None
    e = code.take(3)
    for n in range(context.samples):
        context.emitter.about(name, phase, "codes", n)
        context.load_scale(e, source, n)
        fields: dict[str, int] = {"operand": Operand.X, "output": Output.BYTES}
        if bias is not None:
            context.aligned_bias(e + 2, bias, e)
            fields["bias"] = e + 2
        if mask is not None:
            fields |= {"rectify": Rectify.LAST, "mask_out": 1}
        if used is not None:
            fields["mask_in"] = 1
        if sums is not None:
            code.compute(Function.ADD, sums.exponent + n, e)
            fields |= {"total": Total.O, "sum": sums.sum + n}
        x = plane(n) if plane else source.plane(n, context.config)
        at_mask = mask.address(n) if mask else used.address(n) if used else None
        # The measured bit length goes behind the exponent, its excess over the bias.
        code.run(
            Pass(**fields, measure=1, top=e + 1), grid, x=x, mask=at_mask,
            output=codes.plane(n, context.config),
        )  # fmt: skip
        code.store(e, codes.scale.address + n, count=2, step=context.samples)
    code.give(e, 3)
    return codes
