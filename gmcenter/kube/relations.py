"""How objects hang together: from one object's body to the questions that find what belongs to it.

Matching is exact: by uid, by owner, by a selector's own rules, never by a part of a name. The inventory answers the
questions; this module does not know how.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Body = Mapping[str, Any]
Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Requirement:
    """One term of a label selector: In, NotIn, Exists or DoesNotExist."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether labels satisfy the term, by the API server's rules (NotIn also holds where the key is missing)."""
        if self.operator == "Exists":
            return self.key in labels
        if self.operator == "DoesNotExist":
            return self.key not in labels
        found = labels.get(self.key) in self.values if self.key in labels else False
        return not found if self.operator == "NotIn" else found


@dataclass(frozen=True, slots=True)
class Query:
    """Which objects of a kind are meant; the parts AND together.

    `namespace` None means any. `fields` maps a column's key to the values it may have, exactly. `requirements` are
    held against the objects' labels. `selecting` asks for objects whose own selector (column `selector`, terms
    key=value) is not empty and picks these labels.
    """

    kind: str
    namespace: str | None = None
    names: tuple[str, ...] = ()
    uids: tuple[str, ...] = ()
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    requirements: tuple[Requirement, ...] = ()
    selecting: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Relation:
    """One entry of a detail's `involvesData`: what to ask and how to show what comes back.

    `query` gives None where the object has nothing to ask for; then `shape` sees no rows. `shape` gets the rows found
    and the object's own body.
    """

    name: str
    query: Callable[[Body], Query | None]
    shape: Callable[[Rows, Body], Any]


def selector_picks(terms: Sequence[str], labels: Mapping[str, str]) -> bool:
    """Whether a service's selector, as key=value terms, picks an object with these labels. An empty selector picks
    nothing.
    """
    return bool(terms) and all(labels.get(key) == value for key, _, value in (term.partition("=") for term in terms))


def mapping(body: Any, *path: str) -> dict[str, Any]:
    """The mapping at a path of a body; empty where there is none or where a cluster sent something else."""
    for step in path:
        body = body.get(step) if isinstance(body, Mapping) else None
    return dict(body) if isinstance(body, Mapping) else {}


def items(body: Any, *path: str) -> list[dict[str, Any]]:
    """The mappings in the list at a path of a body; whatever else stands there is left out."""
    found = mapping(body, *path[:-1]).get(path[-1])
    return [dict(entry) for entry in found if isinstance(entry, Mapping)] if isinstance(found, list) else []


def requirements(selector: Mapping[str, Any]) -> tuple[Requirement, ...]:
    """The terms of a LabelSelector (matchLabels and matchExpressions)."""
    terms = [Requirement(key, "In", frozenset({str(value)})) for key, value in mapping(selector, "matchLabels").items()]
    for entry in items(selector, "matchExpressions"):
        values = entry.get("values")
        chosen = frozenset(map(str, values)) if isinstance(values, list) else frozenset()
        terms.append(Requirement(str(entry.get("key", "")), str(entry.get("operator", "")), chosen))
    return tuple(terms)


def _identity(body: Body) -> tuple[str, str, str | None]:
    metadata = mapping(body, "metadata")
    return str(metadata.get("name") or ""), str(metadata.get("uid") or ""), metadata.get("namespace") or None


def _labels(body: Body, *path: str) -> dict[str, str]:
    return {key: str(value) for key, value in mapping(body, *path, "metadata", "labels").items()}


def manages(shape: Callable[[Rows, Body], Any], kind: str) -> Relation:
    """Pods of a workload: picked by its selector and made by it."""

    def query(body: Body) -> Query | None:
        name, _, namespace = _identity(body)
        terms = requirements(mapping(body, "spec", "selector"))
        return Query("pods", namespace, fields={"workload": (f"{kind}/{name}",)}, requirements=terms) if terms else None

    return Relation("pods", query, shape)


def selects(name: str, shape: Callable[[Rows, Body], Any]) -> Relation:
    """Pods that a service's plain selector picks."""

    def query(body: Body) -> Query | None:
        terms = requirements({"matchLabels": mapping(body, "spec", "selector")})
        return Query("pods", _identity(body)[2], requirements=terms) if terms else None

    return Relation(name, query, shape)


def selected_by(name: str, shape: Callable[[Rows, Body], Any], *labels_at: str) -> Relation:
    """Services whose selector picks the object's labels, or those of the template at a path."""

    def query(body: Body) -> Query | None:
        labels = _labels(body, *labels_at)
        return Query("services", _identity(body)[2], selecting=labels) if labels else None

    return Relation(name, query, shape)


def runs_on(shape: Callable[[Rows, Body], Any]) -> Relation:
    """Pods placed on a node."""
    return Relation("pods", lambda body: Query("pods", fields={"node_name": (_identity(body)[0],)}), shape)


def contains(kind: str, shape: Callable[[Rows, Body], Any]) -> Relation:
    """Objects of a kind in a namespace."""
    return Relation(kind, lambda body: Query(kind, _identity(body)[0]), shape)


def derived(name: str, shape: Callable[[Rows, Body], Any]) -> Relation:
    """Something that the body itself tells."""
    return Relation(name, lambda _body: None, shape)


def events_of(kind: str, body: Body) -> Query:
    """Events about an object. Kubelets put the node's name where its uid belongs, so both are asked for."""
    name, uid, namespace = _identity(body)
    return Query("events", namespace, fields={"kind": (kind,), "objectName": (name,), "objectUid": (uid, name)})
