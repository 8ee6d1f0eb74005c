"""Credentials that would be recognised anywhere are put in; then everything that comes out is searched for them."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import secrets
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest

from gmcenter.kube import kinds
from tests.lab import wait_for
from tests.lab.manifests import namespace
from tests.security.test_states import Socket
from tests.support.console import PASSWORDS
from tests.support.fleet import API, KINDS, Fleet

pytestmark = pytest.mark.timeout(240)

ON_LOAD = "reflex___state____state.reflex___state____on_load_internal_state.on_load_internal"


def canary(what: str) -> str:
    """A word that occurs nowhere else."""
    return f"canary{what}{secrets.token_hex(12)}"


def forms(secret: str) -> list[bytes]:
    """A secret as it may be hidden in other text: plain, in base64 at each of the three offsets, URL-encoded, hex."""
    raw = secret.encode()
    found = [raw, raw.hex().encode(), raw[::-1]]
    for offset in range(3):
        whole = base64.b64encode(b"\0" * offset + raw)
        found.append(whole[4 if offset else 0 : len(whole) - 4].rstrip(b"="))
        found.append(found[-1].replace(b"+", b"-").replace(b"/", b"_"))
    return [form for form in dict.fromkeys(found) if len(form) >= 16]


@dataclass
class Hunt:
    """The secrets that were put in, and where one was found again."""

    secrets: dict[str, str] = field(default_factory=dict)
    found: list[str] = field(default_factory=list)
    searched: int = 0

    def hide(self, name: str, secret: str) -> str:
        """Search for this one too."""
        self.secrets[name] = secret
        return secret

    def search(self, where: str, content: bytes | str) -> None:
        """Look for every secret in some content."""
        data = content.encode() if isinstance(content, str) else content
        self.searched += len(data)
        self.found += [
            f"{name} in {where}" for name, secret in self.secrets.items() if any(form in data for form in forms(secret))
        ]


def test_a_hidden_secret_is_found_in_every_form() -> None:
    """The search itself: without it the tests below prove nothing."""
    secret = canary("x")
    for text in (
        secret.encode(),
        base64.b64encode(b'{"token":"' + secret.encode() + b'"}'),
        base64.b64encode(b"a" + secret.encode()),
        base64.urlsafe_b64encode(b"ab" + secret.encode() + b"?"),
        secret.encode().hex().encode(),
    ):
        hunt = Hunt({"it": secret})
        hunt.search("here", b"before " + text + b" after")
        assert hunt.found == ["it in here"], text
    hunt = Hunt({"it": secret})
    hunt.search("here", canary("x"))
    assert hunt.found == []


@pytest.fixture(scope="module")
def spoken(whole_fleet: Fleet) -> Iterator[tuple[Fleet, Hunt]]:
    """A fleet into which secrets have been put in every way that there is, the wrong ways included."""
    fleet, hunt = whole_fleet, Hunt()
    fleet.sign_in()
    one = fleet.clusters["one"]
    for user, password in PASSWORDS.items():
        hunt.hide(f"password of {user}", password)
    hunt.hide("access token", fleet.token.split(".")[2])
    answers: list[tuple[str, httpx.Response]] = []

    def ask(method: str, path: str, **options: object) -> httpx.Response:
        answer = fleet.ask(method, path, **options)
        answers.append((f"answer of {method} {path} ({answer.status_code})", answer))
        return answer

    # A cluster that works, with a real token that is ours to recognise: everything of it is a secret.
    token = hunt.hide("token of a live cluster", one.token("viewer"))
    given = {"clusterEndpoint": one.url, "caPem": one.ca_pem, "token": token}
    about = {"clusterName": "canary", "clusterType": "edge", "acceptWarnings": True}
    assert ask("POST", "/clusters", json={**about, **given}).status_code == 201
    text = one.kubeconfig().read_text()
    key = re.search(r"client-key-data: *\"?([A-Za-z0-9+/=]+)", text)
    assert key, "the kubeconfig has a key"
    hunt.hide("key of the administrator", base64.b64decode(key[1]).decode().splitlines()[2][:48])
    fleet.clusters["canary"] = one
    fleet.wait_state("canary", "live", 60)
    # Ways that fail, each at another stage: none of the refusals repeats what it was given.
    wrong = hunt.hide("token that is refused", canary("token"))
    secret_ca = (
        f"-----BEGIN CERTIFICATE-----\n{hunt.hide('CA that is none', canary('ca'))}\n-----END CERTIFICATE-----\n"
    )
    hidden_key = hunt.hide("key that is none", canary("key"))
    pem_key = f"-----BEGIN PRIVATE KEY-----\n{hidden_key}\n-----END PRIVATE KEY-----\n"
    attempts = [
        {"clusterEndpoint": one.url, "caPem": one.ca_pem, "token": wrong},
        {"clusterEndpoint": "https://127.0.0.1:1", "caPem": one.ca_pem, "token": wrong},
        {"clusterEndpoint": "https://no-such-host.invalid", "token": wrong},
        {"clusterEndpoint": one.url, "caPem": secret_ca, "token": wrong},
        {"clusterEndpoint": one.url, "caPem": one.ca_pem, "clientCertificate": secret_ca, "clientKey": pem_key},
        {"clusterEndpoint": one.url, "token": [wrong]},
        {"clusterEndpoint": one.url, "token": {"value": wrong}},
        {"clusterEndpoint": 5, "token": wrong, "unknownField": wrong},
        {"kubeconfig": kubeconfig(one.url, hunt.hide("token of a kubeconfig", canary("kube")))},
        {"kubeconfig": "users: [{name: x, user: {token: " + hunt.hide("broken YAML", canary("yaml")) + "}"},
        {"kubeconfig": {"not": hunt.hide("no text at all", canary("dict"))}},
    ]
    for number, attempt in enumerate(attempts):
        for path in ("/clusters/preflight", "/clusters/contexts", "/clusters"):
            body = (
                attempt if path != "/clusters" else {"clusterName": f"wrong-{number}", "clusterType": "edge", **attempt}
            )
            assert ask("POST", path, json=body).status_code != 500
        assert ask("PUT", "/clusters/canary", json=attempt).status_code >= 400
    ask("POST", "/clusters", content=b'{"token": "' + wrong.encode())
    ask("POST", "/clusters/canary/check")
    new_user = hunt.hide("password that is refused", canary("password"))
    for body in (
        {"id": "admin", "password": new_user},
        {"Id": "nobody", "Password": new_user},
        {"password": [new_user]},
    ):
        answers.append(("answer of a sign-in", httpx.post(f"{fleet.url}{API}/auth", json=body, timeout=30)))
    form = {"username": "admin", "password": new_user, "next": "/"}
    refused = httpx.post(f"{fleet.url}{API}/auth/login", data=form, timeout=30)
    answers.append(("answer of the form", refused))
    hunt.search("a redirect", refused.headers["location"])
    forged = hunt.hide("forged token", canary("jwt"))
    stranger = httpx.get(f"{fleet.url}{API}/pods", headers={"Authorization": f"Bearer {forged}"}, timeout=30)
    answers.append(("answer to a forged token", stranger))
    by_cookie = hunt.hide("cookie of a browser", fleet.cookie().partition("=")[2].strip('"'))
    assert len(by_cookie) > 20
    pair = httpx.post(f"{fleet.url}{API}/auth", json={"id": "admin", "password": PASSWORDS["admin"]}, timeout=30).json()
    hunt.hide("refresh token", pair["refreshToken"])
    # What a careless user put into a cluster: a Secret's value must not get out of it by way of events or bodies.
    one.client.create(namespace("canaries"))
    value = hunt.hide("value of a Secret", canary("secret"))
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "careless", "namespace": "canaries"}}
    one.client.apply({**secret, "stringData": {"password": value}})
    last = "kubectl.kubernetes.io/last-applied-configuration"
    applied = hunt.hide("last applied configuration", canary("applied"))
    careless = {"apiVersion": "v1", "kind": "Service", "spec": {"ports": [{"port": 80}]}}
    meta = {"name": "careless", "namespace": "canaries", "annotations": {last: json.dumps({"password": applied})}}
    one.client.create({**careless, "metadata": meta})
    wait_for(lambda: fleet.rows("services", cluster="canary", namespace="canaries"), "the service is seen", 20)
    for where, answer in answers:
        hunt.search(where, answer.content)
        hunt.search(f"headers: {where}", str(answer.headers))
    yield fleet, hunt
    fleet.ask("DELETE", "/clusters/canary", params={"confirm": "canary"})
    fleet.clusters.pop("canary")
    one.client.delete("Namespace", "canaries")


def kubeconfig(url: str, token: str) -> str:
    """A kubeconfig whose token nobody knows."""
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": url}}],
            "users": [{"name": "u", "user": {"token": token}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        }
    )


@pytest.fixture
def hunting(spoken: tuple[Fleet, Hunt]) -> tuple[Fleet, Hunt]:
    """The fleet and a hunt that has found nothing yet."""
    fleet, hunt = spoken
    return fleet, Hunt(dict(hunt.secrets))


def test_no_answer_to_a_registration_or_a_sign_in_repeats_what_it_was_given(spoken: tuple[Fleet, Hunt]) -> None:
    assert spoken[1].searched > 10_000
    assert spoken[1].found == []


def test_no_list_detail_or_document_holds_a_credential(hunting: tuple[Fleet, Hunt]) -> None:
    fleet, hunt = hunting
    paths = ["/clusters", "/clusters/canary", "/clusters/canary/dependents", "/sites", "/auth/me", "/auth/sessions"]
    for kind, title in KINDS.items():
        rows = fleet.rows(kind, cluster="canary")
        hunt.search(kind, json.dumps(rows))
        for row in rows[:5]:
            where = {"cluster": "canary", **({"namespace": row["namespace"]} if row.get("namespace") else {})}
            for path, more in ((f"/{kind}/{row['name']}", {}), (f"/view/{row['name']}", {"kind": title})):
                answer = fleet.ask("GET", path, params={**where, **more})
                assert answer.status_code == 200, answer.text
                hunt.search(f"{path} {where}", answer.content)
    careless = fleet.ask("GET", "/view/careless", params={"kind": "Service", "cluster": "canary", "format": "yaml"})
    assert careless.status_code == 200, careless.text
    hunt.search("the careless service", careless.content)
    for path in paths:
        answer = fleet.ask("GET", path)
        assert answer.status_code == 200, f"{path}: {answer.text}"
        hunt.search(path, answer.content)
    for path in ("/metrics", "/livez", "/readyz", f"{API}/openapi.json", f"{API}/docs", "/login", "/platform/clusters"):
        answer = fleet.client.get(path)
        assert answer.status_code == 200, f"{path}: {answer.status_code}"
        hunt.search(path, answer.content)
    assert hunt.searched > 100_000
    assert hunt.found == []


async def test_no_state_that_is_sent_to_a_page_holds_a_credential(hunting: tuple[Fleet, Hunt]) -> None:
    fleet, hunt = hunting
    for path in ("/platform/clusters", kinds.KINDS["services"].menu):
        socket = Socket(fleet)
        async with socket.opened(fleet.cookie()):
            await socket.send("reflex___state____state.hydrate", path=path)
            await socket.send(
                "reflex___state____state.reflex___state____on_load_internal_state.on_load_internal", path=path
            )
            await socket.until(lambda update: True if "canary" in json.dumps(update) else None)
        hunt.search(path, json.dumps(socket.updates))
    assert hunt.searched > 1000
    assert hunt.found == []


def test_no_log_line_holds_a_credential(hunting: tuple[Fleet, Hunt]) -> None:
    fleet, hunt = hunting
    logs = sorted((fleet.data / "log").iterdir())
    assert {"web.log", "collect.log"} <= {log.name for log in logs}
    for log in logs:
        hunt.search(log.name, log.read_bytes())
    assert hunt.searched > 1000
    assert hunt.found == []


def test_the_data_folder_holds_credentials_only_sealed(hunting: tuple[Fleet, Hunt]) -> None:
    fleet, hunt = hunting
    for path in sorted(fleet.data.rglob("*")):
        if path.is_file():
            hunt.search(str(path.relative_to(fleet.data)), path.read_bytes())
    # Databases say it in their own way too: compressed bodies are opened.
    with contextlib.closing(sqlite3.connect(f"file:{fleet.data / 'inventory.db'}?mode=ro", uri=True)) as db:
        import zlib

        bodies = [zlib.decompress(packed) for (packed,) in db.execute("select packed from body")]
    assert len(bodies) > 10
    hunt.search("bodies of the inventory", b"\n".join(bodies))
    assert hunt.found == []


def test_what_lies_in_the_data_folder_is_only_its_owners(hunting: tuple[Fleet, Hunt]) -> None:
    fleet, _ = hunting
    open_to_others = [
        str(path.relative_to(fleet.data))
        for path in fleet.data.rglob("*")
        if path.is_file() and path.stat().st_mode & 0o077
    ]
    assert open_to_others == []


def test_no_process_shows_a_credential_in_its_arguments_or_its_environment(hunting: tuple[Fleet, Hunt]) -> None:
    fleet, hunt = hunting
    state = fleet.run_state()
    roots = [psutil.Process(pid) for pid in (state["pid"], *(one["pid"] for one in state["programs"].values()))]
    processes = {p.pid for root in roots for p in (root, *root.children(recursive=True))}
    assert len(processes) >= 4
    key = base64.b64decode((fleet.data / "secret.key").read_text())
    hunt.hide("master key", (fleet.data / "secret.key").read_text().strip())
    for pid in processes:
        for name in ("cmdline", "environ"):
            content = Path(f"/proc/{pid}/{name}").read_bytes()
            assert content
            hunt.search(f"{name} of {pid}", content)
            assert key not in content
    assert hunt.found == []
