"""The two errors that the command line answers with a line instead of a traceback."""

__all__ = ["CheckError", "InputError"]


class InputError(ValueError):
    """Bad input from outside: a file, a name, a number, a missing tool.

    The message is one line that says what was required, what was got, and where.
    The command line prints it on stderr and exits with status 2.
    """


class CheckError(RuntimeError):
    """A check that could not be carried through: a simulation or a compiler broke down.

    The command line prints the message on stderr and exits with status 1.
    """
