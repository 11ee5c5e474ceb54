"""Debian's Chromium, headless, driven through the pipe of its DevTools protocol with the standard library alone.

The browser reads commands on descriptor 3 and writes answers and events on descriptor 4, each a JSON text that ends with a
zero byte (`--remote-debugging-pipe`).
"""

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

NAMES = ("chromium", "chromium-browser")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-extensions",
    "--disable-component-update",
    "--no-first-run",
    "--no-default-browser-check",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--remote-debugging-pipe",
)
WAIT = 60.0
DESK, PHONE = (1440, 900), (390, 844)  # widths and heights of screens


class BrowserError(Exception):
    """The browser is not there, has ended, or did not answer."""


def executable():
    """Return the path of Chromium; where there is none it is a BrowserError that says what to do."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        raise BrowserError("There is no Chromium; install it with `apt-get install chromium`.")
    return found


class Chromium:
    """One browser; `page()` gives a new tab. Use it as a context."""

    def __init__(self):
        program = executable()
        self.profile = tempfile.TemporaryDirectory(prefix="chromium-")
        read_here, write_there = os.pipe()
        read_there, write_here = os.pipe()
        # bash, because the descriptors have to be 3 and 4 and may be anything here
        command = ["bash", "-c", f'exec "$@" 3<&{read_there} 4>&{write_there}', "bash", program, *FLAGS]
        command += [f"--user-data-dir={self.profile.name}", "about:blank"]
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(command, pass_fds=(read_there, write_there), stdout=quiet, stderr=quiet)
        os.close(read_there)
        os.close(write_there)
        self.reading, self.writing, self.waiting, self.sent = read_here, write_here, b"", 0
        self.events = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.send("Browser.close")
            self.process.wait(timeout=10)
        except (BrowserError, subprocess.TimeoutExpired, OSError):
            self.process.kill()
            self.process.wait()
        os.close(self.reading)
        os.close(self.writing)
        self.profile.cleanup()

    def send(self, method, session=None, **parameters):
        """Give a command and return its answer; events that come first are kept."""
        self.sent += 1
        message = {"id": self.sent, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.writing, data) :]
        while True:
            answer = self.receive()
            if answer.get("id") == self.sent:
                if "error" in answer:
                    raise BrowserError(f"{method}: {answer['error']['message']}")
                return answer["result"]
            self.events.append(answer)

    def receive(self):
        ends = time.monotonic() + WAIT
        while b"\0" not in self.waiting:
            ready, _, _ = select.select([self.reading], [], [], max(0.0, ends - time.monotonic()))
            if not ready:
                raise BrowserError(f"Chromium did not answer within {WAIT:.0f} s.")
            piece = os.read(self.reading, 1 << 20)
            if not piece:
                raise BrowserError(f"Chromium ended with {self.process.poll()}.")
            self.waiting += piece
        message, _, self.waiting = self.waiting.partition(b"\0")
        return json.loads(message)

    def page(self, width=1440, height=900, dark=False):
        """Return a new tab with a screen of that many CSS pixels."""
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        return Page(self, target, session, width, height, dark)


class Page:
    """One tab: what it asked the network for, what its console said, and what can be done in it."""

    def __init__(self, browser, target, session, width, height, dark):
        self.browser, self.target, self.session = browser, target, session
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")
        self.look(width, height, dark)

    def send(self, method, **parameters):
        return self.browser.send(method, self.session, **parameters)

    def look(self, width, height, dark):
        """Change the screen and the reader's preference."""
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, path: Path):
        """Open a file and wait until its chart is drawn; return the milliseconds that took, from the start of the load."""
        self.send("Page.navigate", url=path.resolve().as_uri())
        ends = time.monotonic() + WAIT
        while time.monotonic() < ends:
            drawn = self.run("document.documentElement?.dataset.drawn ?? ''")
            if drawn:
                return None if drawn == "nothing" else int(drawn)
            time.sleep(0.02)
        raise BrowserError(f"{path.name} was not drawn within {WAIT:.0f} s; {self.problems()}")

    def run(self, script):
        """Return what a script comes to, as plain data; an exception in it is a BrowserError."""
        found = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise BrowserError(str(found["exceptionDetails"].get("exception", {}).get("description", found)))
        return found["result"].get("value")

    def settle(self):
        """Wait until what was asked for has been painted."""
        self.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 30))))")

    def click(self, selector):
        """Click the middle of an element with the mouse, scrolled into view."""
        place = self.run(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); e.scrollIntoView({{block: 'center', "
            "behavior: 'instant'}); const b = e.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        self.mouse(*place)

    def mouse(self, x, y):
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            button = "none" if kind == "mouseMoved" else "left"
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button=button, clickCount=1)
        self.settle()

    def key(self, name):
        text = {"text": name} if len(name) == 1 else {"text": "\r"} if name == "Enter" else {}
        self.send("Input.dispatchKeyEvent", type="keyDown", key=name, **text)
        self.send("Input.dispatchKeyEvent", type="keyUp", key=name)
        self.settle()

    def mine(self, method):
        return [
            e["params"] for e in self.browser.events if e.get("sessionId") == self.session and e["method"] == method
        ]

    def requests(self):
        """Return the addresses that the page asked for, its own file among them."""
        self.run("0")
        return [e["request"]["url"] for e in self.mine("Network.requestWillBeSent")]

    def problems(self):
        """Return what console, log and uncaught exceptions said, warnings included."""
        self.run("0")
        said = [
            f"console.{e['type']}: " + " ".join(str(a.get("value", a.get("description"))) for a in e["args"])
            for e in self.mine("Runtime.consoleAPICalled")
        ]
        logged = [f"{e['entry']['level']}: {e['entry']['text']}" for e in self.mine("Log.entryAdded")]
        thrown = [
            str(e["exceptionDetails"].get("exception", {}).get("description", e))
            for e in self.mine("Runtime.exceptionThrown")
        ]
        return said + logged + thrown

    def picture(self, path, whole=False):
        """Write a screenshot as PNG: of the screen, or of the whole page."""
        found = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        Path(path).write_bytes(base64.b64decode(found["data"]))

    def printed(self):
        """Return the page as the browser prints it, PDF bytes."""
        return base64.b64decode(self.send("Page.printToPDF", printBackground=True)["data"])

    def close(self):
        self.browser.send("Target.closeTarget", targetId=self.target)
