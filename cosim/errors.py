"""What can be wrong with a program for the core."""

from golden.errors import InputError

__all__ = ["ProgramError"]


class ProgramError(InputError):
    """A program that no core can run: one line says what was required and what was got."""
