"""Random programs and unlawful ones: the core does what the machine does, and stops as it must."""

import dataclasses
from collections import Counter

import numpy as np
import pytest

from cosim.core_run import Access, Execute, append_program, simulate
from cosim.program_runs import PROGRAM_CORE, run_random_programs, run_unlawful_programs
from cosim.random_programs import random_programs
from cosim.random_words import WORDS, draw_word, illegal_values, legal_values
from cosim.register_accesses import Expected
from cosim.unlawful_programs import unlawful_programs
from rtl.axi import Response
from rtl.instructions import Fault
from rtl.register_map import IDENTIFIER, REGISTERS


@pytest.mark.parametrize("kind", WORDS)
def test_drawn_words_are_within_the_limits_and_fill_every_bit(kind: type) -> None:
    rng = np.random.default_rng(0)
    ones, zeros = 0, 0
    for _ in range(300):
        word = draw_word(rng, kind, PROGRAM_CORE)
        for name, (low, high) in legal_values(kind, PROGRAM_CORE).items():
            assert low <= getattr(word, name) <= high
        ones |= word.pack()
        zeros |= ~word.pack()
    for name, field in kind.layout.items():  # type: ignore[attr-defined]
        low, high = legal_values(kind, PROGRAM_CORE)[name]
        if (low, high) == field.limits:
            mask = ((1 << field.width) - 1) << field.offset
            assert ones & zeros & mask == mask, name


def test_illegal_values_are_outside_the_limits() -> None:
    rng = np.random.default_rng(0)
    fields = set()
    for kind in WORDS:
        for name, value in illegal_values(rng, kind, PROGRAM_CORE):
            low, high = legal_values(kind, PROGRAM_CORE)[name]
            assert not low <= value <= high
            kind.layout[name].insert(name, value)
            fields.add((kind.__name__, name))
    assert {("Multiply", "a_base"), ("BLoops", "pitch"), ("Loss", "classes")} <= fields


@pytest.mark.parametrize("simulator", ["verilator", pytest.param("icarus", marks=pytest.mark.slow)])
def test_every_word_writes_what_the_machine_does(simulator: str) -> None:
    found = run_random_programs(0, simulator)
    assert found.mismatch is None
    assert found.instructions > 1000


def test_a_word_that_writes_anything_else_is_named() -> None:
    made = random_programs(PROGRAM_CORE, 3, count=1)
    program = made.programs[1]
    image, actions = made.before, []
    for part in made.programs:
        image, place = append_program(image, part.words)
        actions.append(Execute(place, len(part.words)))
    run = simulate(PROGRAM_CORE, image, actions).programs[1]
    assert program.differences(run) == []
    number = next(k for k, sums in enumerate(program.expected) if sums[0])
    expected = list(program.expected)
    expected[number] = (expected[number][0] ^ 1, *expected[number][1:])
    (said,) = dataclasses.replace(program, expected=expected).differences(run)
    assert said.startswith(f"word {number} wrote something else: ")
    short = dataclasses.replace(run, trace=run.trace[:-1], fault=Fault.BUS, fault_index=7)
    said = " ".join(program.differences(short))
    assert "fault BUS" in said
    assert "was never run" in said


def test_programs_use_every_word_in_one_number_of_them() -> None:
    made = random_programs(PROGRAM_CORE, 1)
    kinds = Counter(type(word) for program in made.programs for word in program.words)
    assert set(WORDS) <= kinds.keys()


def test_unlawful_programs_end_as_they_must_and_registers_refuse() -> None:
    found = run_unlawful_programs(0)
    assert found.mismatch is None
    for fault in Fault:
        if fault is not Fault.NONE:
            assert found.functional_coverage[f"fault {fault.name}"] > 0


def test_what_ends_otherwise_is_said() -> None:
    lawless = next(p for p in unlawful_programs(PROGRAM_CORE, 0) if p.fault is Fault.FIELD)
    image, place = append_program(bytes(128), lawless.words)
    (ran,) = simulate(PROGRAM_CORE, image, [Execute(place, len(lawless.words))]).programs
    assert lawless.differs(ran) is None
    assert "fault FIELD of unit" in (
        lawless.differs(dataclasses.replace(ran, fault=Fault.OP)) or ""
    )
    other = dataclasses.replace(ran, fault_index=ran.fault_index + 1)
    assert "at word" in (lawless.differs(other) or "")


def test_accesses_say_their_response_and_value() -> None:
    words = REGISTERS["program_words"].address
    actions = [
        Access(REGISTERS["identifier"].address), Access(words, 5), Access(words, 6, 0b0111),
        Access(words), Access(0xFC),
    ]  # fmt: skip
    got = simulate(PROGRAM_CORE, bytes(128), actions).accesses
    okay, refused = int(Response.OKAY), int(Response.SLVERR)
    assert got == [(okay, IDENTIFIER), (okay, 0), (refused, 0), (okay, 5), (refused, 0)]
    assert Expected(actions[3], okay, 5).differs(got[3]) is None
    assert "not as Expected" in (Expected(actions[3], okay, 4).differs(got[3]) or "")
