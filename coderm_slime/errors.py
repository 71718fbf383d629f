"""The base of every error whose text alone tells a user what to change. The command line prints it as one line."""


class CodermError(Exception):
    """A setting, a file, a checkpoint or a server is wrong; the text says what, which value, what to do."""
