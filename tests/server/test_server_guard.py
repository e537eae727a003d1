"""Who is let in: token, session cookie, Host, other sites, rate, size; and what every answer carries."""

import asyncio
import logging

import pytest

from askaudio.core.errors import ConfigError
from askaudio.server.access import session_value
from askaudio.server.settings import ServerSettings, read_token

TOKEN = "correct-horse-battery-staple"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


def test_every_answer_carries_the_security_headers(client):
    for path in ("/", "/v1/health", "/v1/nothing", "/nothing", "/v1/search"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-resource-policy"] == "same-origin" and len(headers["x-request-id"]) == 32
        assert "access-control-allow-origin" not in headers and "server" not in headers


def test_request_ids_differ(client):
    assert client.get("/v1/health").headers["x-request-id"] != client.get("/v1/health").headers["x-request-id"]


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost:8765", "localhost", "[::1]:8765", "LOCALHOST"])
def test_loopback_names_are_answered(client, host):
    assert client.get("/v1/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "user@localhost", "localhost@evil.example", "evil.example@localhost", "localhost.", "127.0.0.1.", "localhost:",
        "localhost:99999", "localhost:0x50", "localhost:-1", "localhost:80:80", "local host", "localhost, evil.example",
        "localhost/evil", "localhost?x", "localhost#x", "localhost\\evil", "[::1", "::1", "[::1]x", "[localhost]",
        "[::1%25lo]", "[127.0.0.1]", "127.1", "0x7f000001", "2130706433", "0177.0.0.1", ".", "-", "localhost%00",
        "http://localhost",
    ],
)  # fmt: skip
def test_host_headers_that_can_be_read_in_two_ways_are_not_answered(make_client, host):
    for client in (make_client(), make_client(host="0.0.0.0", allowed_hosts=("studio-nas",))):
        assert client.get("/v1/health", headers={"Host": host}).status_code == 421


def test_two_host_headers_are_not_answered(client):
    headers = [("Host", "localhost"), ("Host", "localhost")]
    assert client.get("/v1/health", headers=headers).status_code == 421


@pytest.mark.parametrize("host", ["[::1]", "[0:0:0:0:0:0:0:1]:1", "[fd00::5]:8765", "10.0.0.1:65535", "Studio-Nas:1"])
def test_addresses_are_answered_beyond_loopback(make_client, host):
    client = make_client(host="::", allowed_hosts=("studio-nas", "[fd00::5]"))
    assert client.get("/v1/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["http://[", "http://localhost@evil.example", "http://", "://", "evil"])
def test_origins_that_make_no_sense_are_other_sites(client, origin):
    assert client.get("/v1/health", headers={"Origin": origin}).status_code == 403


def test_text_that_is_no_unicode_is_a_wrong_field(client):
    for body in (
        b'{"parts": [{"value": "\\ud800"}]}',
        b'{"parts": [], "\\udc00": 1}',
        b'{"parts": [{"kind": "\\ud800"}]}',
    ):
        answer = client.post("/v1/search", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 422 and answer.json()["errors"]


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "192.168.1.5:8765", "", "[", "a@localhost@b"]
)
def test_other_host_names_are_not_answered(client, host):
    for path in ("/", "/v1/health", "/v1/search?q=rain"):
        assert client.get(path, headers={"Host": host}).status_code == 421


def test_bound_to_the_network_addresses_and_allowed_names_are_answered(make_client):
    client = make_client(host="0.0.0.0", allowed_hosts=("Studio-NAS",))
    for host, status in {
        "192.168.1.5:8765": 200,
        "studio-nas:8765": 200,
        "localhost": 200,
        "evil.example": 421,
    }.items():
        assert client.get("/v1/health", headers={"Host": host}).status_code == status


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}]
)
def test_pages_of_other_sites_may_not_use_the_api(client, headers):
    assert client.get("/v1/search?q=hum", headers=headers).status_code == 403
    assert client.post("/v1/search/audio", headers=headers, files={"sound": b"x"}).status_code == 403


def test_the_own_page_may(client):
    headers = {"Origin": "http://127.0.0.1:8765", "Sec-Fetch-Site": "same-origin"}
    assert client.get("/v1/search?q=hum", headers=headers).status_code == 200


def test_cors_is_closed(client):
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    answer = client.options("/v1/search", headers=headers)
    assert answer.status_code == 403 and not any(name.startswith("access-control") for name in answer.headers)


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \u00e9"])
def test_without_the_token_nothing_is_told(make_client, value):
    client = make_client(token=TOKEN)
    headers = {"Authorization": value.encode("latin-1")} if value else {}
    for path in ("/v1/search?q=hum", "/v1/clips", "/v1/collection", "/v1/metrics", "/v1/openapi.json", "/v1/nothing"):
        answer = client.get(path, headers=headers)
        assert answer.status_code == 401 and answer.headers["www-authenticate"].startswith("Bearer")
    assert client.post("/v1/session", headers=headers).status_code == 401


def test_with_the_token_everything_works(make_client):
    client = make_client(token=TOKEN)
    assert client.get("/v1/search?q=hum", headers=BEARER).status_code == 200
    assert client.get("/v1/health").json() == {"status": "ok"}
    assert client.get("/").status_code == 200  # the page itself holds nothing, and asks for the token


def test_the_page_trades_the_token_for_a_cookie(make_client):
    client = make_client(token=TOKEN)
    answer = client.post("/v1/session", headers=BEARER)
    cookie = answer.headers["set-cookie"]
    assert answer.status_code == 204 and TOKEN not in cookie
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and "Path=/v1" in cookie
    assert client.get("/v1/search?q=hum").status_code == 200  # the client keeps cookies
    client.delete("/v1/session")
    assert client.get("/v1/search?q=hum").status_code == 401


@pytest.mark.parametrize("cookie", ["askaudio_session=wrong", f"askaudio_session={TOKEN}", "=;;\x7f", "a=b"])
def test_wrong_cookies_are_refused(make_client, cookie):
    assert make_client(token=TOKEN).get("/v1/clips", headers={"Cookie": cookie}).status_code == 401


def test_another_token_ends_old_sessions():
    assert session_value(TOKEN) != session_value(TOKEN + "2")


def test_the_token_is_never_logged(make_client, caplog):
    caplog.set_level(logging.DEBUG)
    client = make_client(token=TOKEN)
    client.get("/v1/search?q=hum", headers=BEARER)
    client.get("/v1/search?q=hum", headers={"Authorization": "Bearer nearly-" + TOKEN})
    assert TOKEN not in "".join(r.getMessage() for r in caplog.records if r.name.startswith("askaudio"))
    assert TOKEN not in client.get("/v1/metrics", headers=BEARER).text


def test_token_from_file_or_variable(tmp_path, monkeypatch):
    monkeypatch.delenv("ASKAUDIO_TOKEN", raising=False)
    assert read_token() is None
    monkeypatch.setenv("ASKAUDIO_TOKEN", TOKEN)
    assert read_token() == TOKEN
    (tmp_path / "t").write_text("another-long-enough-token\n")
    assert read_token(tmp_path / "t") == "another-long-enough-token"


@pytest.mark.parametrize("token", ["short", "has spaces in the middle", "ünïcödé-ünïcödé-ünïcödé", ""])
def test_poor_tokens_are_refused_without_showing_them(token, tmp_path):
    (tmp_path / "t").write_text(token)
    with pytest.raises(ConfigError) as caught:
        read_token(tmp_path / "t")
    assert not token or token not in str(caught.value)


def test_a_missing_token_file_is_told(tmp_path):
    with pytest.raises(ConfigError, match="cannot read the token file"):
        read_token(tmp_path / "none")


def test_too_many_requests_are_told_when_to_come_back(make_client):
    client = make_client(rate_per_s=0.5, rate_burst=3)
    answers = [client.get("/v1/collection") for _ in range(5)]
    assert [a.status_code for a in answers] == [200, 200, 200, 429, 429]
    assert 1 <= int(answers[3].headers["retry-after"]) <= 2
    assert client.get("/").status_code == 200  # the page's own files are not counted


def test_large_bodies_are_refused_before_they_are_read(client):
    answer = client.post("/v1/search", content=b"x" * 300_000, headers={"Content-Type": "application/json"})
    assert answer.status_code == 413


def test_large_bodies_without_a_length_are_refused_too(client):
    def pieces():
        for _ in range(40):
            yield b"x" * 10_000

    answer = client.post("/v1/search", content=pieces(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 413 and answer.headers["content-type"] == "application/problem+json"


def test_a_body_that_does_not_arrive_is_given_up(engine):
    from askaudio.server.app import create_app

    app, sent = create_app(engine, ServerSettings(body_timeout_s=0.05)), []
    scope = {
        "type": "http", "method": "POST", "path": "/v1/search", "raw_path": b"/v1/search", "query_string": b"",
        "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")], "client": ("127.0.0.1", 1),
        "http_version": "1.1", "scheme": "http", "root_path": "", "server": ("localhost", 80),
    }  # fmt: skip

    async def never() -> dict:
        await asyncio.sleep(60)
        raise AssertionError

    async def send(message) -> None:
        sent.append(message)

    asyncio.run(asyncio.wait_for(app(scope, never, send), 10))
    assert sent[0]["status"] == 408


def test_an_unforeseen_error_shows_nothing_of_itself(make_client, monkeypatch, caplog):
    client = make_client()
    service = client.app.state.service

    def fail(*_, **__):
        raise RuntimeError("secret internals at /home/me")

    monkeypatch.setattr(service.engine, "search", fail)
    answer = client.get("/v1/search?q=hum")
    assert answer.status_code == 500 and answer.headers["content-type"] == "application/problem+json"
    assert "secret" not in answer.text and "default-src" in answer.headers["content-security-policy"]
    assert answer.json()["request_id"] in caplog.text and "secret internals" in caplog.text


def test_metrics_count_by_route_and_not_by_query(client):
    client.get("/v1/search", params={"q": "a very private wish"})
    text = client.get("/v1/metrics").text
    assert 'askaudio_http_requests_total{method="GET",route="/v1/search",status="200"}' in text
    assert "askaudio_http_request_seconds_bucket" in text and "private" not in text


def test_openapi_describes_version_1(client):
    paths = client.get("/v1/openapi.json").json()["paths"]
    assert {"/v1/search", "/v1/similar", "/v1/search/audio", "/v1/clips/{clip_id}/audio", "/v1/health"} <= set(paths)


@pytest.mark.parametrize("settings", [{"port": 70000}, {"token": "short"}, {"max_running": 0}, {"rate_per_s": -1}])
def test_wrong_settings_are_refused(settings):
    with pytest.raises(ConfigError):
        ServerSettings(**settings)
