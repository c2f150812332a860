"""Headless Chromium, driven through its own protocol: pages are opened, keys pressed, and what then stands there is read."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import websocket

OPTIONS = "headless no-sandbox disable-gpu no-first-run disable-background-networking disable-component-update".split()
KEYS = {"ArrowRight": 39, "ArrowLeft": 37, "Home": 36, "End": 35, "Tab": 9, "Escape": 27}


class Browser:
    """One page of a running browser.

    https://chromedevtools.github.io/devtools-protocol
    """

    def __init__(self, socket: websocket.WebSocket) -> None:
        self.socket, self.numbers = socket, itertools.count()
        self.events: list[dict[str, Any]] = []

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Ask for one thing and wait for its answer; what is told meanwhile goes to `events`."""
        number = next(self.numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while (told := json.loads(self.socket.recv())).get("id") != number:
            self.events.append(told)
        assert "error" not in told, told
        result: dict[str, Any] = told["result"]
        return result

    def open(
        self, address: str, *, scripts: bool = True, dark: bool = False, size: tuple[int, int] = (1366, 900)
    ) -> None:
        """Load a page, and wait until it is whole."""
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.send("Emulation.setEmulatedMedia", features=features)
        self.send("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.send(
            "Emulation.setDeviceMetricsOverride", width=size[0], height=size[1], deviceScaleFactor=1, mobile=False
        )
        self.send("Page.enable")
        self.send("Runtime.enable")
        self.events.clear()
        self.send("Page.navigate", url=address)
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(json.loads(self.socket.recv()))

    def errors(self) -> list[dict[str, Any]]:
        """What the scripts of the page have thrown."""
        return [event for event in self.events if event.get("method") == "Runtime.exceptionThrown"]

    def ask(self, expression: str) -> Any:
        """What an expression of JavaScript is in the page, also where the page's own scripts are off."""
        found = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def press(self, key: str) -> None:
        """A key, on whatever has the focus."""
        for kind in ("rawKeyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=KEYS[key])


@contextmanager
def browsing(executable: str, profile: Path) -> Iterator[Browser]:
    """A browser of its own, which ends with the block."""
    command = [executable, *(f"--{one}" for one in OPTIONS), "--disable-dev-shm-usage", "--remote-debugging-port=0"]
    command += [f"--user-data-dir={profile}", "--remote-allow-origins=*", "about:blank"]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        port, path = _endpoint(profile / "DevToolsActivePort")
        socket = websocket.create_connection(f"ws://127.0.0.1:{port}{path}", timeout=60)
        browser = Browser(socket)
        target = browser.send("Target.createTarget", url="about:blank")["targetId"]
        socket.close()
        page = websocket.create_connection(f"ws://127.0.0.1:{port}/devtools/page/{target}", timeout=60)
        yield Browser(page)
        page.close()
    finally:
        running.terminate()
        running.wait(timeout=30)
        shutil.rmtree(profile, ignore_errors=True)


def _endpoint(path: Path) -> list[str]:
    """Port and path of the browser's socket, which it writes once it listens."""
    for _ in range(600):
        if path.is_file() and len(lines := path.read_text().split()) == 2:
            return lines
        time.sleep(0.1)
    raise TimeoutError(f"{path}: the browser has not said where it listens")
