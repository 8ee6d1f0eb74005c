"""Objects as YAML: the one writer, for the REST API and the portal."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from ruamel.yaml import YAML


def as_yaml(body: Mapping[str, Any]) -> str:
    """An object as YAML 1.2 block text, keys in the object's order. Slow, a millisecond a kilobyte: use a thread."""
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.width = 4096
    out = io.StringIO()
    yaml.dump(dict(body), out)
    return out.getvalue()
