"""``gm i18n``: whether both languages are whole."""

from __future__ import annotations

from typing import Annotated

import typer

from gmcenter.cli.command import Output, answer

app = typer.Typer(add_completion=False)


@app.command()
def i18n(output: Annotated[Output, typer.Option("-o", "--output", help="text or json.")] = Output.TEXT) -> None:
    """Collect the keys that the code asks for; fail on a missing, superfluous or unequal Korean or English text."""
    from gmcenter.cli import texts

    found = texts.complaints()
    counts = {language: len(book) for language, book in texts.catalogues().items()}

    def text() -> None:
        for complaint in found:
            typer.echo(complaint)
        typer.echo(f"i18n: {counts['ko']} texts in Korean, {counts['en']} in English, {len(found)} complaints")

    answer({"texts": counts, "complaints": found}, output, text)
    if found:
        raise typer.Exit(1)
