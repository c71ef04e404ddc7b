"""The one error that means: the user gave something we cannot use."""

__all__ = ["InputError"]


class InputError(ValueError):
    """Bad input from outside: a file, a name, a number, a missing tool.

    The message is one line that says what was required, what was got, and where.
    The command line prints it on stderr and exits with status 2.
    """
