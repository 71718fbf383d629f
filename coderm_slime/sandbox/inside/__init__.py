"""The fork server's own code, which runs in a process apart, by the sandbox's interpreter, without this package.

It imports the standard library only, and little of that: what is in its memory, every program inherits.
"""
