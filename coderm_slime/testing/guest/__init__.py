"""What runs inside the sandbox: standard library only, Python 3.10 and later, imported by nothing else here.

`source.py` one floor up ships these modules as text. Two processes use them: `answer` runs the untrusted program and
nothing else; `examiner` runs the tests and talks to it through `peer`. The trust boundary is the examiner's side of
`codec`, `mirrors` and `peer`: it believes nothing that a frame says.
"""
