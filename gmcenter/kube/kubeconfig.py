"""A kubeconfig as a stranger might send it: read into contexts, and refused with the reason wherever it would have us
run a program, read our files, or trust whoever answers.

The text never becomes YAML objects: it is read event by event into plain dicts, lists and texts, with limits on size,
depth and number of nodes, and without aliases and tags, so that neither a bomb nor a constructor can hide in it.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from ruamel.yaml import YAML
from ruamel.yaml import events as yaml_events
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from gmcenter.core.errors import GMError, InvalidField
from gmcenter.kube import target as targets
from gmcenter.kube.target import Target

MAX_BYTES: Final = 1_000_000
MAX_DEPTH: Final = 16
MAX_NODES: Final = 20_000
MAX_CONTEXTS: Final = 500
_LONG_MARK: Final = re.compile(r"[!&*%]\S{256}")  # the parser reads tags, anchors and directives slowly


class KubeconfigError(GMError):
    """A kubeconfig that is not accepted; every reason is a class of its own with its own words and remedy."""

    code, status = "kubeconfig_invalid", 422


class TooLarge(KubeconfigError):
    """Larger than 1 MB, or with more parts than any kubeconfig has."""

    code: ClassVar[str] = "kubeconfig_too_large"


class NotYaml(KubeconfigError):
    """Not YAML; `line` and `column` count from 1."""

    code: ClassVar[str] = "kubeconfig_not_yaml"


class TooDeep(KubeconfigError):
    """Nested deeper than any kubeconfig is."""

    code: ClassVar[str] = "kubeconfig_too_deep"


class Alias(KubeconfigError):
    """YAML anchors, aliases or tags; `line` says where."""

    code: ClassVar[str] = "kubeconfig_alias"


class NotKubeconfig(KubeconfigError):
    """YAML, but not a kubeconfig."""

    code: ClassVar[str] = "kubeconfig_not_kubeconfig"


class NoContext(KubeconfigError):
    """A kubeconfig without a single context."""

    code: ClassVar[str] = "kubeconfig_no_context"


class UnknownContext(KubeconfigError):
    """`context` is not in the kubeconfig; `known` lists those that are."""

    code: ClassVar[str] = "kubeconfig_unknown_context"


class Dangling(KubeconfigError):
    """A context names a cluster or user (`missing`) that the kubeconfig does not define."""

    code: ClassVar[str] = "kubeconfig_dangling"


class ExecPlugin(KubeconfigError):
    """The user is authenticated by a program (`command`), which the server must not run."""

    code: ClassVar[str] = "kubeconfig_exec"


class AuthProvider(KubeconfigError):
    """The user is authenticated by an auth-provider plugin (`provider`)."""

    code: ClassVar[str] = "kubeconfig_auth_provider"


class FileReference(KubeconfigError):
    """`setting` points to a file on the user's machine."""

    code: ClassVar[str] = "kubeconfig_file_reference"


class SkipsVerification(KubeconfigError):
    """insecure-skip-tls-verify is on."""

    code: ClassVar[str] = "kubeconfig_insecure"


class ThroughProxy(KubeconfigError):
    """proxy-url is set."""

    code: ClassVar[str] = "kubeconfig_proxy"


class PlainHttp(KubeconfigError):
    """The server is addressed by http://."""

    code: ClassVar[str] = "kubeconfig_http"


class Impersonates(KubeconfigError):
    """The user acts as somebody else (as, as-groups, …)."""

    code: ClassVar[str] = "kubeconfig_impersonates"


class BasicAuth(KubeconfigError):
    """User name and password, which Kubernetes does not know since 1.19."""

    code: ClassVar[str] = "kubeconfig_basic_auth"


class NoCredential(KubeconfigError):
    """The context's user has neither a token nor a client certificate."""

    code: ClassVar[str] = "kubeconfig_no_credential"


class BadPart(KubeconfigError):
    """`part` of the kubeconfig (server, certificate, key, token) cannot be used, for `reason`."""

    code: ClassVar[str] = "kubeconfig_bad_part"


@dataclass(frozen=True, slots=True)
class Context:
    """One context as it may be shown: no credential. `problem` says why it cannot be used, None when it can."""

    name: str
    cluster: str
    user: str
    endpoint: str
    current: bool
    problem: KubeconfigError | None


class Kubeconfig:
    """A parsed kubeconfig. Holds credentials: keep it in local variables, show only `contexts`."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._clusters = _named(document, "clusters", "cluster")
        self._users = _named(document, "users", "user")
        self._contexts = _named(document, "contexts", "context")
        self._current = _text(document.get("current-context"))
        if not self._contexts:
            raise NoContext()
        if len(self._contexts) > MAX_CONTEXTS:
            raise TooLarge(limit=f"{MAX_CONTEXTS} contexts")

    def __repr__(self) -> str:
        return f"Kubeconfig({len(self._contexts)} contexts)"

    @property
    def contexts(self) -> tuple[Context, ...]:
        """Every context in the file's order, with the reason for those that cannot be used."""
        return tuple(self._describe(name) for name in self._contexts)

    @property
    def current(self) -> str:
        """The current context; the only one when there is one; otherwise empty."""
        if self._current in self._contexts:
            return self._current
        return next(iter(self._contexts)) if len(self._contexts) == 1 else ""

    def _describe(self, name: str) -> Context:
        context = self._contexts[name]
        cluster = _text(context.get("cluster"))
        problem: KubeconfigError | None = None
        try:
            self.target(name)
        except KubeconfigError as error:
            problem = error
        server = _text(self._clusters.get(cluster, {}).get("server"))
        return Context(
            name=name,
            cluster=cluster,
            user=_text(context.get("user")),
            endpoint=server if "@" not in server and len(server) <= 500 else "",
            current=name == self.current,
            problem=problem,
        )

    def target(self, name: str) -> Target:
        """The API server and credential of one context.

        Raises the KubeconfigError that says why the context cannot be used.
        """
        context = self._contexts.get(name)
        if context is None:
            raise UnknownContext(context=name[:100], known=", ".join(list(self._contexts)[:10]))
        cluster = self._refer(self._clusters, "cluster", context)
        user = self._refer(self._users, "user", context)
        _refuse_cluster(cluster)
        _refuse_user(user)
        certificate, key = _decoded(user, "client-certificate-data"), _decoded(user, "client-key-data")
        token = _text(user.get("token"))
        if not token and not (certificate and key):
            raise NoCredential(context=name)
        try:
            return targets.build(
                endpoint=_text(cluster.get("server")),
                ca_pem=_decoded(cluster, "certificate-authority-data"),
                token=token,
                certificate_pem="" if token else certificate,
                key_pem="" if token else key,
                tls_server_name=_text(cluster.get("tls-server-name")),
            )
        except InvalidField as problem:
            raise BadPart(part=problem.field, reason=problem.reason) from None

    @staticmethod
    def _refer(table: Mapping[str, dict[str, Any]], what: str, context: Mapping[str, Any]) -> dict[str, Any]:
        name = _text(context.get(what))
        if name not in table:
            raise Dangling(missing=f"{what} “{name[:100]}”")
        return table[name]


def parse(text: str | bytes) -> Kubeconfig:
    """Read a pasted or uploaded kubeconfig (YAML or JSON).

    Takes up to a third of a second for the largest file: call it in a thread. Raises KubeconfigError.
    """
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise NotYaml(line=1, column=1) from None
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise TooLarge(limit="1 MB")
    if (odd := _LONG_MARK.search(text)) is not None:
        raise Alias(line=text.count("\n", 0, odd.start()) + 1)
    document = _read(text)
    if not isinstance(document, dict) or _text(document.get("kind")) not in ("Config", ""):
        raise NotKubeconfig()
    if not {"clusters", "contexts", "users"} & document.keys():
        raise NotKubeconfig()
    return Kubeconfig(document)


def _refuse_cluster(cluster: Mapping[str, Any]) -> None:
    if _is_set(cluster.get("certificate-authority")):
        raise FileReference(setting="certificate-authority")
    if _text(cluster.get("insecure-skip-tls-verify")).lower() not in ("", "false", "no", "off", "null", "~", "0"):
        raise SkipsVerification()
    if _is_set(cluster.get("proxy-url")):
        raise ThroughProxy()
    server = _text(cluster.get("server"))
    if server.lower().startswith("http://"):
        raise PlainHttp(endpoint=server[:200] if "@" not in server else "")


def _refuse_user(user: Mapping[str, Any]) -> None:
    if _is_set(plugin := user.get("exec")):
        raise ExecPlugin(command=_text(plugin.get("command"))[:100] if isinstance(plugin, dict) else "")
    if _is_set(plugin := user.get("auth-provider")):
        raise AuthProvider(provider=_text(plugin.get("name"))[:100] if isinstance(plugin, dict) else "")
    for setting in ("client-certificate", "client-key", "tokenFile"):
        if _is_set(user.get(setting)):
            raise FileReference(setting=setting)
    if any(_is_set(user.get(setting)) for setting in ("as", "as-uid", "as-groups", "as-user-extra")):
        raise Impersonates()
    if _is_set(user.get("username")) or _is_set(user.get("password")):
        raise BasicAuth()


def _named(document: Mapping[str, Any], table: str, inner: str) -> dict[str, dict[str, Any]]:
    """`{name: {…}}` of one of the kubeconfig's three lists; the first entry of a name counts, as with kubectl."""
    entries = document.get(table)
    if entries in (None, "", "null", "~"):
        return {}
    if not isinstance(entries, list):
        raise NotKubeconfig()
    found: dict[str, dict[str, Any]] = {}
    for entry in entries:
        if not isinstance(entry, dict) or not _text(entry.get("name")):
            raise NotKubeconfig()
        body = entry.get(inner)
        found.setdefault(_text(entry["name"]), body if isinstance(body, dict) else {})
    return found


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _is_set(value: Any) -> bool:
    return bool(value) and value not in ("null", "~")


def _decoded(table: Mapping[str, Any], key: str) -> str:
    text = "".join(_text(table.get(key)).split())
    try:
        return base64.b64decode(text, validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        raise BadPart(part=key, reason="not_base64_pem") from None


def _read(text: str) -> Any:
    """The first document of a YAML text as dicts, lists and texts."""
    yaml = YAML(typ="safe", pure=True)
    try:
        reader = _Reader(iter(yaml.parse(text)))
        return reader.document()
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise NotYaml(line=mark.line + 1 if mark else 1, column=mark.column + 1 if mark else 1) from None
    except (YAMLError, ValueError, RecursionError):
        raise NotYaml(line=1, column=1) from None


class _Reader:
    """Builds plain values from YAML events, counting as it goes."""

    def __init__(self, events: Iterator[Any]) -> None:
        self._events = events
        self._nodes = 0

    def document(self) -> Any:
        for event in self._events:
            if isinstance(event, yaml_events.StreamStartEvent | yaml_events.DocumentStartEvent):
                continue
            if isinstance(event, yaml_events.StreamEndEvent):
                return None
            value = self._value(event, 0)
            for after in self._events:
                if isinstance(after, yaml_events.DocumentStartEvent):
                    raise NotKubeconfig()
            return value
        return None

    def _value(self, event: Any, depth: int) -> Any:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise TooLarge(limit=f"{MAX_NODES} parts")
        if depth > MAX_DEPTH:
            raise TooDeep(limit=MAX_DEPTH)
        if isinstance(event, yaml_events.AliasEvent) or event.anchor is not None or _is_tagged(event):
            raise Alias(line=event.start_mark.line + 1)
        if isinstance(event, yaml_events.ScalarEvent):
            return str(event.value)
        if isinstance(event, yaml_events.SequenceStartEvent):
            return self._sequence(depth)
        return self._mapping(depth)

    def _sequence(self, depth: int) -> list[Any]:
        items = []
        for event in self._events:
            if isinstance(event, yaml_events.SequenceEndEvent):
                break
            items.append(self._value(event, depth + 1))
        return items

    def _mapping(self, depth: int) -> dict[str, Any]:
        table: dict[str, Any] = {}
        for event in self._events:
            if isinstance(event, yaml_events.MappingEndEvent):
                break
            line = event.start_mark.line + 1
            key = self._value(event, depth + 1)
            if not isinstance(key, str) or key in table:
                raise NotYaml(line=line, column=event.start_mark.column + 1)
            table[key] = self._value(next(self._events), depth + 1)
        return table


def _is_tagged(event: Any) -> bool:
    tag = getattr(event, "tag", None)
    return tag is not None and str(tag) != "!"
