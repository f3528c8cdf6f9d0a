"""test_page.py -- the dashboard in a real browser: what it shows, and what its buttons do."""

import json

import pytest

from harness import net
from harness.raw import request

pytestmark = pytest.mark.slow

HELD = [{"weight": "10%", "hold": "1s", "evidence": "advisory"},
        {"weight": "25%", "hold": "1h", "evidence": "advisory"},
        {"ramp": "60%", "over": "2h", "hold": "5m"}, {"weight": "100%", "hold": "30m"}]
APPROVED = [{"weight": "20%", "hold": "1s", "approve": True, "evidence": "advisory"},
            {"weight": "40%", "hold": "1h", "evidence": "advisory"}, {"weight": "100%", "hold": "1s"}]
HOSTILE = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>"\'&amp;'
# Answers of the program that are replaced by those of `answers`, by the end of the path.
REPLACE = """
    window.asked = window.fetch;
    window.fetch = (path, options) => {
        const made = Object.entries(window.answers).find(([end]) => path.split("?")[0].endsWith(end));
        return made === undefined ? window.asked(path, options)
            : Promise.resolve(new Response(JSON.stringify(made[1])));
    };
"""

# What the page shows then, events have told it to ask for.
NO_POLLS = """
    window.later = window.setTimeout;
    window.setTimeout = (action, ms) => (ms === 2000 ? 0 : window.later(action, ms));
"""


def answer(shown, answers):
    """From now on the page hears these, and is told to ask."""
    shown.evaluate(f"if (window.asked === undefined) {{ {REPLACE} }}"
                   f"window.answers = {json.dumps(answers)};"
                   "document.dispatchEvent(new Event('visibilitychange'))")


def open_dialog(shown, verb):
    shown.wait(f"[...document.querySelectorAll('#verbs button')].some((each) => "
               f"each.innerText.startsWith('{verb}') && each.checkVisibility())")
    shown.evaluate(f"[...document.querySelectorAll('#verbs button')].find((each) => "
                   f"each.innerText.startsWith('{verb}')).id = 'wanted-{verb}'")
    shown.click(f"#wanted-{verb}")
    shown.wait("document.querySelector('#ask').open")


def sent(shown):
    """Enter, and the leader's answer."""
    shown.press("Enter")
    shown.wait("!document.querySelector('#ask').open")


def test_a_token_is_asked_for_and_a_wrong_one_is_told(world, page):
    shown = page()
    shown.wait("document.querySelector('#sign-in')?.checkVisibility()")
    assert "gateway" not in shown.text("body")  # the page by itself holds nothing
    assert shown.evaluate("document.activeElement.id") == "token"
    shown.type("#token", "cf_nothing")
    shown.press("Enter")
    shown.wait_text("#sign-in-problem", "this token opens nothing here")
    assert not shown.shown("#service")
    shown.type("#token", world.tokens["viewer"])
    shown.press("Enter")
    shown.wait_text("#state", "IDLE")
    shown.wait_text("#service-name", "gateway")
    assert not shown.shown("#sign-in")
    assert shown.evaluate("localStorage.length + document.cookie.length") == 0
    shown.click("#sign-out")
    shown.wait("document.querySelector('#sign-in')?.checkVisibility()")
    assert shown.evaluate("sessionStorage.getItem('crossfade.token')") is None
    assert "gateway" not in shown.text("body")


def test_a_cutover_is_followed_as_it_moves(world, page):
    shown = page("viewer", before=NO_POLLS)
    shown.wait_text("#freshness", "live")
    world.start(HELD)
    shown.wait_text("#state", "SHIFTING")
    shown.wait_text("#step", "Step 2 of 4")
    shown.wait_text("#green-end", "web-v2 (green) 25 %")
    assert shown.text("#blue-end") == "web-v1 (blue) 75 %"
    assert shown.evaluate("document.querySelector('#bar-green').style.width") == "25%"
    assert shown.evaluate("document.querySelector('#bar').ariaLabel").startswith("25 % to green")
    step = shown.text("#step")
    assert ("1 h left" in step or "59 m" in step) and "the plan ends about" in step
    assert shown.evaluate("document.title").startswith("gateway shifting 25 %")
    places = shown.evaluate("[...document.querySelectorAll('#plan li')].map((each) => "
                            "[each.querySelector('strong').innerText, each.className])")
    assert places == [["10%", "done"], ["25%", "now"], ["ramp to 60%", "next"], ["100%", "next"],
                      ["draining", "next"], ["safe", "next"], ["finalized", "next"]]
    assert "1 of 1 in force" in shown.text("#proxies-count")
    assert "ok (sqlite, this host)" in shown.text("#control")
    assert f"{world.webs['web-v2'].address} up" in shown.text("#clusters .green")
    assert "gateway" in shown.text("#service-list") and "second" in shown.text("#service-list")
    world.steer("weight", "12.5%")
    shown.wait_text("#green-end", "12.5 %")
    shown.click("#service-list li:nth-child(2) a")
    shown.wait_text("#service-name", "second")
    shown.wait_text("#route", "All traffic goes to web-v1")
    assert not shown.shown("#plan-card") and not shown.shown("#verbs")
    world.cli("start", "--to", "web-v2", "--service", "second")
    world.steer("abort")
    shown = page("viewer", name="second")  # who names none sees where something goes on
    world.cli("abort", "--service", "second")
    shown.wait_text("#state", "ABORTED")


def test_a_hold_says_its_sentence_and_what_ends_it(world, page):
    shown = page("viewer")
    world.start(HELD)
    shown.wait("document.querySelector('#holds-card').hidden")
    world.steer("pause", "--reason", "the cache is cold")
    shown.wait_text("#holds", "paused by ops@host: the cache is cold")
    assert "operator" in shown.text("#holds") and "Ends by: `resume`" in shown.text("#holds")
    assert shown.text("#held") == "HELD"
    shown.wait("document.querySelector('#announced').innerText.includes('held by operator')")
    shown.click("#why-details summary")
    shown.wait_text("#why", "Held by `operator`")
    shown.wait_text("#history", "the cache is cold")
    assert "by ops@host" in shown.text("#history li:first-child")
    world.steer("resume")
    shown.wait("!document.querySelector('#holds-card').checkVisibility()")


def changed(value, leaf):
    """The same with `leaf` for every string (None: for every leaf), and once more in every list."""
    if isinstance(value, dict):
        return {key: changed(each, leaf) for key, each in value.items()}
    if isinstance(value, list):
        return [changed(each, leaf) for each in value] + [leaf]
    return leaf if isinstance(value, str) or leaf is None else value


def test_what_is_hostile_stays_text(world, page):
    world.start(HELD)
    world.steer("pause", "--reason", HOSTILE)
    real = world.status()
    shown = page("viewer")  # what an operator typed, as the program really answers it
    shown.wait_text("#holds", HOSTILE)
    shown.wait_text("#history", HOSTILE)

    # What no operator can type: in every field at once.
    clusters = {HOSTILE: changed(each, HOSTILE) for each in real["clusters"].values()}
    status = {**changed(real, HOSTILE), "state": "shifting", "clusters": clusters,
              "leader": {"name": HOSTILE, "id": HOSTILE, "epoch": 1},
              "signal": {"key": HOSTILE, "sequence": 2, "accepted_at": HOSTILE,
                         "blockers": [HOSTILE]},
              "from": HOSTILE, "to": HOSTILE,
              "verdict": {"rule": HOSTILE, "sentence": HOSTILE, "samples_green": 1}}
    entry = {key: HOSTILE for key in ("at", "verb", "actor", "reason", "sentence", "before")}
    answer(shown, {"/status": status, "/why": {"text": HOSTILE}, "/history": {"entries": [entry]},
                   "/plan": {"plan": {"steps": [{"weight": HOSTILE, "hold": HOSTILE}]}},
                   "/v1/services": {"services": ["gateway", HOSTILE]}})
    for part in ("#service-name", "#holds", "#signal", "#plan", "#verdict", "#clusters",
                 "#proxies", "#control", "#history", "#services"):
        shown.wait_text(part, HOSTILE)
    assert shown.evaluate("window.hacked") is None
    assert shown.evaluate("document.querySelectorAll('img, iframe, main script').length") == 0


@pytest.mark.long
def test_what_is_missing_breaks_nothing(world, page):
    world.start(HELD)
    real = world.status()
    shown = page("viewer")
    nothing = ({}, [], None, changed(real, None), {key: [None, 7, {}] for key in real},
               {key: 7 for key in real})
    for rough in nothing:
        answer(shown, {"/status": real, "/why": rough, "/history": rough, "/plan": rough})
        shown.wait_text("#state", "SHIFTING")
        answer(shown, {path: rough for path in ("/status", "/why", "/history", "/plan")})
        shown.wait("document.querySelector('#state').innerText === '–'")
        assert shown.complaints() == [], rough
    assert "Nobody leads this service" in shown.text("#alone")


def test_abort_by_its_button_is_confirmed_and_in_the_log(world, page):
    world.start(HELD)  # a step of the plan in between would change the generation
    net.wait_until(lambda: world.status()["step"]["index"] == 2, 10, "the step that is held long")
    shown = page("operator")
    open_dialog(shown, "abort")
    shown.type("#ask-actor", "jane")
    shown.type("#ask-typed", "gatewa")
    shown.press("Enter")  # without a reason nothing goes
    assert world.status()["state"] == "shifting"
    shown.type("#ask-reason", "it smells")
    shown.press("Enter")
    shown.wait_text("#ask-problem", "Type gateway to confirm")
    assert world.status()["state"] == "shifting"
    shown.type("#ask-typed", "y")
    shown.click("#ask-send")
    shown.wait_text("#state", "ABORTED")
    shown.wait("!document.querySelector('#ask').open")
    shown.wait_text("#answer", "aborted by jane")
    entry = next(each for each in reversed(world.history()) if each["verb"] == "abort")
    assert entry["actor"] == "jane (token operator)" and entry["reason"] == "it smells"
    shown.wait_text("#history", "jane (token operator)")
    assert request(world.proxy.port, "/").header("X-Server") == "web-v1"


def test_verbs_by_keyboard_and_with_the_role_they_need(world, page):
    world.start(APPROVED)
    shown = page("viewer")
    shown.wait_text("#holds", "approval")
    open_dialog(shown, "approve")
    shown.press("Enter")
    shown.wait_text("#ask-problem", "needs the role operator")
    shown.press("Escape")
    shown.wait("!document.querySelector('#ask').open")
    assert shown.evaluate("document.activeElement.innerText") == "approve…"

    shown = page("operator")
    shown.wait_text("#holds", "approval")
    open_dialog(shown, "approve")
    shown.type("#ask-actor", "joe")
    sent(shown)
    shown.wait_text("#step", "Step 2 of 3")
    shown.wait_text("#answer", "approved by joe")
    open_dialog(shown, "pause")
    shown.type("#ask-reason", "lunch")
    sent(shown)  # the name is remembered
    shown.wait_text("#holds", "paused by joe (token operator): lunch")
    open_dialog(shown, "resume")
    sent(shown)
    shown.wait("!document.querySelector('#holds-card').checkVisibility()")
    open_dialog(shown, "back")
    sent(shown)
    shown.wait_text("#step", "Step 1 of 3")
    open_dialog(shown, "step")
    sent(shown)
    shown.wait_text("#step", "Step 2 of 3")
    actors = {each["verb"]: each["actor"] for each in world.history()[-6:]}
    assert {actors[verb] for verb in ("approve", "pause", "resume", "back")} == \
        {"joe (token operator)"}


def test_who_was_not_first_is_told_and_goes_by_what_is_now(world, page):
    world.start(HELD)
    shown = page("operator")
    shown.wait_text("#step", "Step 2 of 4")
    open_dialog(shown, "back")
    world.steer("pause", "--reason", "I look first")
    generation = world.status()["generation"]
    shown.type("#ask-reason", "no")
    shown.press("Enter")
    shown.wait_text("#ask-problem", "Look at what is shown now")
    assert world.status()["generation"] == generation and world.status()["step"]["index"] == 2
    shown.wait_text("#ask-place", f"Generation {generation}")
    assert "held by operator" in shown.text("#ask-place")
    shown.click("#ask-send")
    shown.wait_text("#step", "Step 1 of 4")


def test_an_abort_is_not_refused_for_what_came_in_between(world, page):
    world.start(HELD)
    shown = page("operator")
    open_dialog(shown, "abort")
    world.steer("weight", "7%")
    shown.type("#ask-reason", "no")
    shown.type("#ask-typed", "gateway")
    sent(shown)
    shown.wait_text("#state", "ABORTED")


@pytest.mark.long
def test_it_fits_a_telephone_and_every_field_has_a_name(world, page):
    world.start(HELD)
    world.steer("pause", "--reason", "x" * 180)
    shown = page("operator", width=400, dark=True)
    for width in (320, 400, 1280):
        shown.look(width, 800, dark=width == 400)
        assert shown.evaluate("document.documentElement.scrollWidth") <= width
    dark = shown.evaluate("getComputedStyle(document.body).backgroundColor")
    shown.look(400, 800, dark=True)
    assert shown.evaluate("getComputedStyle(document.body).backgroundColor") != dark
    open_dialog(shown, "abort")
    assert shown.evaluate("document.documentElement.scrollWidth") <= 400
    assert shown.evaluate("""[...document.querySelectorAll("input, select, button")].filter(
        (each) => !(each.labels?.length > 0) && each.innerText.trim() === "" &&
                  each.textContent.trim() === "").map((each) => each.id)""") == []


def test_without_events_it_asks_and_says_so(world, page):
    world.start(HELD)
    shown = page("viewer", before=f'window.answers = {{ "/events": null }}; {REPLACE}')
    shown.wait_text("#freshness", "asks every 2 s")
    world.steer("weight", "7%")
    shown.wait_text("#green-end", "7 %")


def test_old_data_is_called_old_until_there_is_an_answer(world, page):
    world.start(HELD)
    shown = page("viewer")
    shown.wait_text("#state", "SHIFTING")
    world.proxy.terminate()
    shown.wait_text("#freshness", "no answer since")
    shown.wait_text("#stale", "What is shown is old")
    assert "SHIFTING" in shown.text("#state")
    world.proxy.start()
    shown.wait_text("#freshness", "up to date")
    assert not shown.shown("#stale")
    shown.wait_text("#freshness", "live")
