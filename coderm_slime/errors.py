"""The base of every error whose text alone tells a user what to change. The command line prints it as one line."""


class CodermError(Exception):
    """Something outside is wrong: a setting, a file, a checkpoint, a server. The text says what, which value, what to
    do.
    """
