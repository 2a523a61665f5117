"""The one exception for mistakes that a user can mend."""


class BadInput(ValueError):
    """Something given from outside cannot be used.

    The message is one sentence or two that state the value found, what was expected and how to
    mend it. The command line prints it as it is, without a traceback, and exits with code 2.
    """
