"""chromium.py -- a real Chromium without a window, steered over DevTools' pipe.

It is started with a profile of its own in the test's folder and ended by its process id.
"""

import base64
import fcntl
import json
import os
import select
import time
from pathlib import Path

from harness import net
from harness.processes import Started

OPTIONS = ["--headless=new", "--remote-debugging-pipe", "--no-first-run", "--disable-gpu",
           "--disable-crash-reporter", "--disable-breakpad", "--disable-extensions",
           "--disable-component-update", "--disable-background-networking", "--disable-sync",
           "--no-default-browser-check", "--password-store=basic", "--mute-audio",
           "--disable-dev-shm-usage", "--hide-scrollbars",
           "--disable-features=SpareRendererForSitePerProcess",
           "--no-sandbox"]  # it cannot have one as root, and opens our page only
ANSWER_SECONDS = 60  # with everything else that runs on this machine
SEEN = """((node) => node?.checkVisibility() ? node.innerText : "")(document.querySelector({selector}))"""
KEYS = {"Enter": ("\r", 13), "Escape": (None, 27), "Tab": (None, 9)}


def high(fd):
    """The same above the numbers that the browser's pipe must have."""
    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD, 20)
    finally:
        os.close(fd)


class Chromium:
    def __init__(self, folder):
        self.folder = Path(folder)
        self.number = 0
        self.rest = b""
        self.events = []  # (session, method, parameters), those that nobody took yet
        theirs_in, ours_out = map(high, os.pipe())
        ours_in, theirs_out = map(high, os.pipe())
        self.ours_in, self.ours_out = ours_in, ours_out
        home = self.folder / "home"
        home.mkdir(parents=True)
        self.process = Started(
            ["bash", "-c", f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}', "bash", "chromium",
             *OPTIONS, f"--user-data-dir={home}/profile", "about:blank"],
            self.folder / "chromium.log", pass_fds=(theirs_in, theirs_out),
            env={**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home),
                 "XDG_CACHE_HOME": str(home)})
        os.close(theirs_in)
        os.close(theirs_out)
        self.call("Browser.getVersion")

    @property
    def log(self):
        return self.process.log

    def end(self):
        for fd in (self.ours_out, self.ours_in):
            os.close(fd)  # the end of the pipe is the end of the browser
        try:
            self.process.wait(5)
        except AssertionError:
            pass
        self.process.end()

    def read(self, seconds):
        """The next message."""
        end = time.monotonic() + seconds
        while b"\0" not in self.rest:
            left = end - time.monotonic()
            ready = select.select([self.ours_in], [], [], max(0, left))[0]
            data = os.read(self.ours_in, 1 << 20) if ready else b""
            assert data, f"chromium says nothing: {self.log[-2000:]}"
            self.rest += data
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, session=None, seconds=ANSWER_SECONDS, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.ours_out, data):]
        while True:
            answer = self.read(seconds)
            if answer.get("id") == self.number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]
            if "method" in answer:
                self.events.append((answer.get("sessionId"), answer["method"], answer["params"]))



class Page:
    """The one tab.  A tab for each test would be a process for each, a second of work every time."""

    def __init__(self, browser):
        self.browser = browser
        target = browser.call("Target.createTarget", url="about:blank")
        self.session = browser.call("Target.attachToTarget", targetId=target["targetId"],
                                    flatten=True)["sessionId"]
        self.script = None
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method, **parameters):
        return self.browser.call(method, session=self.session, **parameters)

    def open(self, url, before="", width=1280, dark=False):
        """Opens the page as if never seen, but for the browser's cache; `before` runs in it before
        its own scripts."""
        if self.evaluate("location.protocol") == "http:":
            self.evaluate("sessionStorage.clear(), localStorage.clear()")
        self.call("Page.navigate", url="about:blank")
        if self.script is not None:
            self.call("Page.removeScriptToEvaluateOnNewDocument", identifier=self.script)
        self.script = self.call("Page.addScriptToEvaluateOnNewDocument",
                                source=before)["identifier"]
        self.look(width, dark=dark)
        assert "errorText" not in self.call("Page.navigate", url=url)
        return self

    def look(self, width, height=900, dark=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce"}])

    def evaluate(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True,
                           awaitPromise=True)
        assert "exceptionDetails" not in answer, (expression, answer["exceptionDetails"])
        return answer["result"].get("value")

    def look_at(self, expression):
        """The same; None while the page is being replaced by the next one."""
        try:
            return self.evaluate(expression)
        except AssertionError as error:
            if "Inspected target navigated or closed" not in str(error):
                raise
            return None

    def wait(self, expression, timeout=60):
        """Waits until the expression is true; else tells what the page shows."""
        try:
            return net.wait_until(lambda: self.look_at(expression), timeout, expression, every=0.05)
        except AssertionError as error:
            raise AssertionError(f"{error}; the page: {self.text('body')[:3000]}") from error

    def text(self, selector):
        """What a person sees of it; empty where it is hidden."""
        return self.evaluate(SEEN.format(selector=json.dumps(selector)))

    def wait_text(self, selector, part, timeout=60):
        """Waits until a person sees `part` there."""
        self.wait(f"{SEEN.format(selector=json.dumps(selector))}.includes({json.dumps(part)})",
                  timeout)

    def shown(self, selector):
        return self.evaluate(f"document.querySelector({json.dumps(selector)})"
                             "?.checkVisibility() ?? false")

    def click(self, selector):
        """With the mouse, once it is there, in its middle: what covers it is hit in its place."""
        self.wait(f"document.querySelector({json.dumps(selector)})?.checkVisibility()")
        box = self.evaluate(f"""(() => {{
            const node = document.querySelector({json.dumps(selector)});
            node.scrollIntoView({{ block: "center" }});
            const box = node.getBoundingClientRect();
            return {{ x: box.x + box.width / 2, y: box.y + box.height / 2 }};
        }})()""")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **box)

    def type(self, selector, text):
        self.evaluate(f"document.querySelector({json.dumps(selector)}).focus()")
        self.call("Input.insertText", text=text)

    def press(self, key):
        character, code = KEYS[key]
        extra = {} if character is None else {"text": character}
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key,
                      windowsVirtualKeyCode=code, **(extra if kind == "keyDown" else {}))

    def picture(self, path, whole=True):
        if whole:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
            data = self.call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        else:
            data = self.call("Page.captureScreenshot")
        Path(path).write_bytes(base64.b64decode(data["data"]))

    def take(self, method):
        """The parameters of the events of that name since the last call."""
        self.evaluate("0")  # those that are under way have come then
        mine = [each for each in self.browser.events if each[:2] == (self.session, method)]
        self.browser.events = [each for each in self.browser.events if each not in mine]
        return [parameters for _, _, parameters in mine]

    def complaints(self):
        """Exceptions and what the browser itself refused (its policies), since the last call."""
        thrown = [str(each["exceptionDetails"]) for each in self.take("Runtime.exceptionThrown")]
        logged = [each["entry"] for each in self.take("Log.entryAdded")]
        return thrown + [entry["text"] for entry in logged
                         if entry["level"] == "error" and entry["source"] != "network"]
