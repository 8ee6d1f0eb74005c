"""Words in the reader's language, chosen in the browser: `t("clusters.title")` is a Var that follows the switch.

Both catalogues are compiled into one JavaScript module, so that changing the language needs no server and no reload,
and no State carries words.
"""

from __future__ import annotations

import json
from typing import Any

import reflex as rx
from reflex_base.utils.imports import ImportVar
from reflex_base.vars import VarData

from gmtool.scripts import script

LANGUAGES = ("ko", "en")
_shared = script(__name__, "i18n.js")
_catalogue = "$/utils/gm_catalogue"


def catalogue_module() -> str:
    """JavaScript source of the module that holds both catalogues."""
    from gmcenter.core.i18n import catalogue

    texts = {language: catalogue(language) for language in LANGUAGES}
    return "export const catalogue = " + json.dumps(texts, ensure_ascii=False, sort_keys=True) + ";\n"


def _data(*names: str) -> VarData:
    return VarData(
        imports={_shared: [ImportVar(tag=name) for name in names]},
        hooks={"const gmLanguage = useLanguage();": None},
    )


def _call(function: str, *arguments: Any) -> rx.Var[str]:
    parts = [rx.Var.create(argument) for argument in arguments]
    data = VarData.merge(_data("useLanguage", function), *(part._get_all_var_data() for part in parts))
    expression = ", ".join(["gmLanguage", *(str(part) for part in parts)])
    return rx.Var(f"{function}({expression})", _var_type=str, _var_data=data).to(str)


def t(key: str | rx.Var[str], **params: Any) -> rx.Var[str]:
    """The text of a key in the reader's language; `params` fill its `{name}` places and may be Vars."""
    return _call("text", key, params) if params else _call("text", key)


def language() -> rx.Var[str]:
    """The reader's language code, "ko" or "en"."""
    return rx.Var("gmLanguage", _var_type=str, _var_data=_data("useLanguage")).to(str)


def number(value: Any, digits: int = 0) -> rx.Var[str]:
    """A number with the language's separators and at most `digits` decimals."""
    return _call("number", value, digits)


def when(epoch: Any) -> rx.Var[str]:
    """Local date and time of an epoch in seconds; empty for None."""
    return _call("when", epoch)


def iso(epoch: Any) -> rx.Var[str]:
    """ISO 8601 in UTC of an epoch in seconds, for titles."""
    return _call("iso", epoch)
