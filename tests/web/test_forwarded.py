"""Headers that say who asks, over what and under which name: a client writes them, and steers nothing.

Of a proxy that is trusted only its own word counts, the last one: what stands before it came from the client.
"""

from __future__ import annotations

import http.client
import json

import pytest

from web import limiting

TRIES = 68  # beyond the sixty wrong invitations that one address has
SERVERS = ["waitress", "granian"]


def served(server_class, folder, kind, trusted):
    if kind == "granian":
        pytest.importorskip("granian")
    environ = {"XIANGYIN_TRUSTED_PROXY": trusted} if trusted else {}
    return server_class(folder / "data", environ=environ, words=("--server", kind)).start()


@pytest.fixture(scope="module", params=SERVERS)
def open_to_all(request, tmp_path_factory, server_class):
    server = served(server_class, tmp_path_factory.mktemp("open"), request.param, "")
    yield server
    assert server.stop() == 0


@pytest.fixture(scope="module", params=SERVERS)
def behind_a_proxy(request, tmp_path_factory, server_class):
    server = served(server_class, tmp_path_factory.mktemp("behind"), request.param, "127.0.0.1")
    yield server
    assert server.stop() == 0


def ask(connection, headers, method="POST", path="/api/v1/join"):
    """One request with these header lines as they are, also twice the same."""
    body = json.dumps({"invite": "0" * 32}).encode() if method == "POST" else b""
    connection.putrequest(method, path)
    lines = [("Content-Type", "application/json"), ("Content-Length", str(len(body))), *headers]
    for name, value in lines:
        connection.putheader(name, value)
    connection.endheaders(body)
    answer = connection.getresponse()
    answer.read()
    return answer


def counted_as_one(server, lines) -> bool:
    """Whether callers that `lines` makes up, given a number each, run into the limit of one address."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        statuses = [ask(connection, lines(number)).status for number in range(TRIES)]
    finally:
        connection.close()
    assert set(statuses) <= {404, 410, 422, 429}, set(statuses)
    return 429 in statuses


def test_a_client_of_its_own_server_writes_itself_no_fresh_address(open_to_all):
    """Under any of the names that proxies use, with dashes or underscores, which WSGI does not tell apart."""

    def lines(number: int) -> list[tuple[str, str]]:
        made_up = f"203.0.113.{number}"
        names = ("X-Forwarded-For", "X_Forwarded_For", "X-Real-IP", "X-Client-IP", "True-Client-IP",
                 "CF-Connecting-IP", "Remote-Addr", "REMOTE_ADDR")  # fmt: skip
        return [
            *((name, made_up) for name in names),
            ("Forwarded", f"for={made_up};proto=https;host=e.example"),
        ]

    assert counted_as_one(open_to_all, lines)


LAST = {
    "values in one line": lambda n: [("X-Forwarded-For", f"203.0.113.{n}, 198.51.100.1")],
    "two lines": lambda n: [("X-Forwarded-For", f"203.0.113.{n}"), ("X-Forwarded-For", "198.51.100.2")],
    "a port": lambda n: [("X-Forwarded-For", f"198.51.100.5:{4000 + n}")],
    "another header": lambda n: [("Forwarded", f"for=203.0.113.{n}"), ("X-Forwarded-For", "198.51.100.6")],
    "one network of IPv6": lambda n: [("X-Forwarded-For", f"2001:db8:0:1::{n + 1:x}")],
    "IPv6 in brackets": lambda n: [("X-Forwarded-For", f'"[2001:db8:0:2::{n + 1:x}]"')],
    "IPv6 with a port": lambda n: [("X-Forwarded-For", f"203.0.113.9, [2001:db8:0:3::1]:{4000 + n}")],
    "IPv4 as IPv6": lambda n: [("X-Forwarded-For", ("198.51.100.7", "::ffff:198.51.100.7")[n % 2])],
    "garbage": lambda n: [("X-Forwarded-For", f"nobody-{n}")],
    "nothing": lambda n: [("X-Forwarded-For", f"203.0.113.{n}, ")],
}  # fmt: skip


@pytest.mark.parametrize("lines", LAST.values(), ids=LAST)
def test_only_the_last_word_of_a_trusted_proxy_counts(behind_a_proxy, lines):
    assert counted_as_one(behind_a_proxy, lines)


def test_two_callers_behind_a_trusted_proxy_are_two(behind_a_proxy):
    """Otherwise who guesses at invitations shuts everybody out."""
    assert not counted_as_one(behind_a_proxy, lambda n: [("X-Forwarded-For", f"192.0.2.{n}")])
    assert not counted_as_one(behind_a_proxy, lambda n: [("X-Forwarded-For", f"2001:db8:{n:x}::1")])


@pytest.mark.parametrize("first", ["X_Forwarded_For", "X-Forwarded-For"])
def test_an_underscore_is_no_dash(server_class, tmp_path, first):
    """waitress drops such headers; granian does not, so that there the proxy has to (docs/deploy.md)."""
    server = served(server_class, tmp_path, "waitress", "127.0.0.1")

    def lines(number: int) -> list[tuple[str, str]]:
        pair = [("X_Forwarded_For", f"203.0.113.{number}"), ("X-Forwarded-For", "198.51.100.1")]
        return pair if first == "X_Forwarded_For" else pair[::-1]

    assert counted_as_one(server, lines)
    assert server.stop() == 0


PROTOCOLS = ["https, http", "http,https", "ftp", "javascript:", "", '"', "https\t", "HTTPS", "é"]


@pytest.mark.parametrize("value", PROTOCOLS)
def test_a_strange_protocol_is_answered(behind_a_proxy, value):
    connection = http.client.HTTPConnection("127.0.0.1", behind_a_proxy.port, timeout=30)
    assert ask(connection, [("X-Forwarded-Proto", value)], "GET", "/?lang=en").status in (200, 302, 303)
    assert ask(connection, [], "GET", "/healthz").status == 200
    connection.close()


@pytest.mark.parametrize("trusted", ["", "127.0.0.1"], ids=["open to all", "behind a proxy"])
@pytest.mark.parametrize("kind", SERVERS)
def test_no_header_leads_an_upload_or_a_link_elsewhere(server_class, tmp_path, make, kind, trusted):
    """Who takes Location at its word would send the voice there, with the token."""
    there = served(server_class, tmp_path, kind, trusted)
    there.command(
        "project", "create", make.project.id, "--title", "T", "--language", "nan", "--orthography", "nan-Hant"
    )
    speaker = there.join()
    evil = {
        "Host": "evil.example",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Server": "evil.example",
        "X-Forwarded-Port": "99",
        "X-Forwarded-Prefix": "/evil",
        "X-Script-Name": "/evil",
        "X-Original-URL": "/evil",
        "X-Rewrite-URL": "/evil",
        "Forwarded": "host=evil.example;proto=https",
        "X-Forwarded-Proto": "https",
    }
    created = speaker.ask("POST", "/api/v1/uploads", {**make.clip(b"sound").headers(), **evil})
    assert created.status_code == 201
    assert created.headers["Location"].startswith("/api/v1/uploads/")
    for path in ("/", "/studio", "/me", "/join/nothing", "/releases"):
        answer = speaker.ask("GET", path, evil, allow_redirects=False)
        assert "evil" not in str(answer.headers) and "evil" not in answer.text, path
    assert there.stop() == 0


@pytest.mark.parametrize(
    ("given", "one"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:4000", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("[::ffff:192.0.2.1]:4000", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:DB8:0:0:ffff::1", "2001:db8::/64"),
        ("[2001:db8::1]:4000", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("", ""),
        ("nobody", ""),
        ("192.0.2.999", ""),
        ("010.0.0.1", ""),
        ("[", ""),
    ],
)
def test_an_address_has_one_spelling(app, given, one):
    with app.test_request_context(environ_base={"REMOTE_ADDR": given}):
        assert limiting.address() == one
