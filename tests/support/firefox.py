"""A real Firefox without a window, driven over WebDriver BiDi, which it speaks itself: no driver program is needed."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
_PREFERENCES = {
    "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.page": 0,
    "datareporting.policy.dataSubmissionEnabled": False,
    "media.autoplay.default": 0,
    "media.volume_scale": "0.0",
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "",
    "toolkit.telemetry.enabled": False,
}
_KEYS = {"ArrowDown": "\ue015", "ArrowUp": "\ue013", "ArrowLeft": "\ue012", "ArrowRight": "\ue014", "Enter": "\ue007",
         "Escape": "\ue00c", "Tab": "\ue004", "Space": " ", "Shift": "\ue008", "Control": "\ue009"}  # fmt: skip
_START_S = 120.0


class Firefox:
    """One browser with one page.

    Example:
        >>> with Firefox() as page:  # doctest: +SKIP
        ...     page.open("http://127.0.0.1:8765/")
        ...     page.wait("document.title == 'askaudio'")
    """

    def __enter__(self) -> Firefox:
        from websockets.sync.client import connect

        self._profile = tempfile.TemporaryDirectory(prefix="askaudio-firefox-")
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in _PREFERENCES.items()]
        Path(self._profile.name, "user.js").write_text("\n".join(lines), encoding="utf-8")
        self._process = subprocess.Popen(
            [str(FIREFOX), "--headless", "--no-remote", "--profile", self._profile.name,
             "--remote-debugging-port", "0"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._ids = itertools.count(1)
        self._socket = connect(f"{self._address()}/session", max_size=None, open_timeout=_START_S)
        self._send("session.new", {"capabilities": {}})
        self._context = self._send("browsingContext.getTree", {})["contexts"][0]["context"]
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stderr.close()
        self._profile.cleanup()

    def _address(self) -> str:
        for line in self._process.stderr:
            if "listening on ws://" in line:
                return line.split("listening on ")[1].strip()
        raise RuntimeError("Firefox does not start")

    def _send(self, method: str, parameters: dict[str, Any], timeout_s: float = 60.0) -> Any:
        number = next(self._ids)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv(timeout_s))
            if answer.get("id") == number:
                break
        if answer["type"] == "error":
            raise RuntimeError(f"{method}: {answer['message']}")
        return answer["result"]

    def open(self, url: str, width: int = 1200, height: int = 800) -> None:
        """Go to a page, in a window of this size."""
        self._send(
            "browsingContext.setViewport", {"context": self._context, "viewport": {"width": width, "height": height}}
        )
        self._send("browsingContext.navigate", {"context": self._context, "url": url, "wait": "complete"})

    def run(self, expression: str) -> Any:
        """Value of a JavaScript expression, as JSON has it; promises are awaited."""
        wrapped = f"(async () => JSON.stringify(await ({expression})) ?? null)()"
        result = self._send("script.evaluate", {
            "expression": wrapped, "target": {"context": self._context}, "awaitPromise": True, "userActivation": True,
        })  # fmt: skip
        if result["type"] == "exception":
            raise RuntimeError(result["exceptionDetails"]["text"])
        value = result["result"].get("value")
        return None if value is None else json.loads(value)

    def load(self, script: str) -> None:
        """Run a script, whatever the page's policy allows."""
        self._send(
            "script.evaluate", {"expression": script, "target": {"context": self._context}, "awaitPromise": False}
        )

    def wait(self, expression: str, timeout_s: float = 30.0) -> None:
        """Wait until an expression is true."""
        until = time.monotonic() + timeout_s
        while not self.run(f"Boolean({expression})"):
            if time.monotonic() > until:
                raise AssertionError(
                    f"never true: {expression}; the page says: {self.run('document.body.innerText')[:300]}"
                )
            time.sleep(0.05)

    def press(self, keys: str) -> None:
        """Press a key, or several together: ``Shift+ArrowDown``."""
        names = keys.split("+") if len(keys) > 1 else [keys]
        values = [_KEYS.get(name, name) for name in names]
        actions = [{"type": "keyDown", "value": value} for value in values]
        actions += [{"type": "keyUp", "value": value} for value in reversed(values)]
        self._send(
            "input.performActions",
            {"context": self._context, "actions": [{"type": "key", "id": "keys", "actions": actions}]},
        )

    def type(self, text: str) -> None:
        """Type a text where the focus is."""
        for letter in text:
            self.press("Space" if letter == " " else letter)
