"""What runs a program's calls in the sandbox, as source text behind the program. Standard library alone; not imported.

Each call stands behind `>>>` with what it printed and the value that it gave, as Python's own prompt shows it; a call
that raises shows the exception, and the next one runs all the same.
"""


def _coderm_run_calls(calls: list[str], names: dict[str, object]) -> None:
    import sys
    import traceback

    for call in calls:
        print(">>>", call, flush=True)  # noqa: T201 - the output is what is wanted
        try:
            exec(compile(call, "<call>", "single"), names)
        except BaseException as error:  # noqa: BLE001 - SystemExit, too: the next call is another one's business
            print("".join(traceback.format_exception_only(type(error), error)).rstrip())  # noqa: T201
        sys.stdout.flush()
