"""A Hugging Face Hub on loopback that keeps what is pushed in memory: enough for the real client to push and fetch."""

import base64
import contextlib
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

SHA = "0123456789abcdef0123456789abcdef01234567"


class FakeHub:
    """``repos[NAME][PATH]`` is the content; ``created[NAME]`` what was asked for; ``seen`` the requests."""

    def __init__(self):
        self.repos, self.created, self.seen = {}, {}, []
        self.token = None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def _send(self, body, status=200, **headers):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), "Content-Type": "application/json", **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _hub(self):
        hub = self.server.hub
        hub.seen.append((self.command, urlsplit(self.path).path, self.headers.get("Authorization")))
        return hub

    def do_POST(self):
        hub, path = self._hub(), urlsplit(self.path).path
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if hub.token and self.headers.get("Authorization") != f"Bearer {hub.token}":
            return self._send({"error": "Invalid username or password."}, 401)
        if path == "/api/validate-yaml":
            return self._send({"errors": [], "warnings": []})
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}"
            hub.created[name] = asked
            hub.repos.setdefault(name, {})
            return self._send({"url": f"http://{self.headers['Host']}/{name}"})
        name, verb = "/".join(path.split("/")[3:5]), path.split("/")[5]
        if verb == "preupload":
            files = json.loads(body)["files"]
            return self._send(
                {"files": [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files]}
            )
        for line in body.decode().splitlines():
            item = json.loads(line)
            if item["key"] == "file":
                hub.repos[name][item["value"]["path"]] = base64.b64decode(item["value"]["content"])
        return self._send({"commitUrl": f"http://{self.headers['Host']}/{name}/commit/{SHA}", "commitOid": SHA})

    def do_GET(self):
        hub, path = self._hub(), unquote(urlsplit(self.path).path)
        api = path.startswith("/api/models/")
        name = "/".join(path.split("/")[3:5] if api else path.split("/")[1:3])
        files = hub.repos.get(name)
        if files is None:
            return self._send({"error": "Repository not found"}, 404, X_Error_Code="RepoNotFound")
        if api and "/tree/" in path:
            return self._send(
                [
                    {"type": "file", "path": p, "size": len(c), "oid": hashlib.sha1(c).hexdigest()}
                    for p, c in files.items()
                ]
            )
        if api:
            return self._send({"id": name, "sha": SHA, "siblings": [{"rfilename": p} for p in files]})
        content = files.get(path.split(f"/{name}/resolve/")[1].split("/", 1)[1])
        if content is None:
            return self._send({"error": "Entry not found"}, 404, X_Error_Code="EntryNotFound")
        return self._send(content, ETag=f'"{hashlib.sha1(content).hexdigest()}"', X_Repo_Commit=SHA)

    do_HEAD = do_GET


@contextlib.contextmanager
def fake_hub():
    """Yields (address, FakeHub)."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.hub = FakeHub()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", server.hub
    finally:
        server.shutdown()
        server.server_close()
