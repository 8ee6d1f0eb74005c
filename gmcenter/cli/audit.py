"""``gm audit``: whether the audit is as it was written."""

from __future__ import annotations

from typing import Annotated

import typer

from gmcenter.cli.command import REFUSED, USAGE, Output, answer, fail, run, say

app = typer.Typer(name="audit", no_args_is_help=True, help="Check the audit.")


@app.callback()
def audit() -> None:
    """Check the audit."""


@app.command()
def verify(
    head: Annotated[
        str, typer.Option("--head", help="A head from the log (seq:mac): proves that nothing up to it was cut off.")
    ] = "",
    output: Annotated[Output, typer.Option("-o", "--output", help="text or json.")] = Output.TEXT,
) -> None:
    """Walk the whole chain; exit code 1 when an entry was changed, removed or inserted."""
    from gmcenter.identity import audit as chain

    expected = None
    if head:
        try:
            expected = chain.Head.parse(head)
        except ValueError as problem:
            fail(str(problem), USAGE)
    result = run(lambda: chain.verify(expected))
    document = {
        "ok": result.ok,
        "count": result.count,
        "head": str(result.head),
        "firstBadSeq": result.first_bad_seq,
        "reason": result.reason or None,
    }

    def text() -> None:
        if result.ok:
            say("cli.audit.whole", count=result.count, head=result.head)
        else:
            say("cli.audit.broken", seq=result.first_bad_seq, count=result.count)
            say(f"cli.audit.reason.{result.reason}")

    answer(document, output, text)
    if not result.ok:
        raise typer.Exit(REFUSED)
