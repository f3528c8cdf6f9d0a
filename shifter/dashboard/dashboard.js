// dashboard.js -- the page begins here, and joins what asks with what shows.
import { hasToken, setToken } from "./dashboard/api.js";
import { byId, setText, show } from "./dashboard/dom.js";
import { Feed } from "./dashboard/feed.js";
import { named, showChange, showServices } from "./dashboard/overview.js";
import { showPlan, showPlanStatus } from "./dashboard/plan.js";
import { showHistory, showTables } from "./dashboard/tables.js";
import { beginVerbs, showVerbs } from "./dashboard/verbs.js";
import { showStatus, showWhy } from "./dashboard/view.js";
import { duration, list, object } from "./dashboard/words.js";

const AGE_MS = 500;

function askForToken(problem) {
    const first = problem.status === 401 && !hasToken();
    setText(byId("sign-in-problem"), first ? "" : problem.message);
    show(byId("sign-in"), true);
    for (const id of ["service", "services", "alone"]) {
        show(byId(id), false);
    }
    byId("token").focus();
}

const feed = new Feed({
    services: showServices,
    change: showChange,
    status(status) {
        show(byId("sign-in"), false);
        showStatus(status);
        showPlanStatus(status);
        showTables(status);
        showVerbs(status);
        showChange({ ...status, holds: list(status.holds).map((hold) => object(hold).reason) });
    },
    plan: showPlan,
    why: showWhy,
    history: showHistory,
    locked: askForToken,
});

// ---- how old it is ----

let wasOld = false;

function showAge() {
    const old = feed.isOld();
    const age = feed.age();
    const asks = !byId("sign-in").hidden;
    const since = age === null ? "no answer yet" : `no answer since ${duration(age / 1000)}`;
    const source = feed.live ? "live" : "asks every 2 s";
    setText(byId("freshness"), asks ? "" : old ? since : age === null ? "asks" : `up to date · ${source}`);
    byId("freshness").classList.toggle("bad", old && !asks);
    document.body.classList.toggle("old", old && !asks);
    show(byId("sign-out"), hasToken() && !asks);
    if (old !== wasOld || asks) { // said once: the line above counts on, silently
        wasOld = old && !asks;
        show(byId("stale"), wasOld);
        setText(byId("stale"), wasOld
            ? `This host gives no answer${feed.problem === null || feed.problem === "no answer" ? ""
                : ` (${feed.problem})`}. What is shown is old.` : "");
    }
}

// ---- who asks ----

byId("sign-in").addEventListener("submit", (event) => {
    event.preventDefault();
    setToken(byId("token").value.trim());
    byId("token").value = "";
    setText(byId("sign-in-problem"), "");
    feed.begin();
});

byId("sign-out").addEventListener("click", () => {
    setToken(null);
    location.reload(); // nothing that the token opened stays on the page
});

function followAddress() {
    const name = named();
    if (name !== null) {
        feed.select(name);
        showServices(feed.names, feed.selected);
    }
}

window.addEventListener("hashchange", followAddress);
beginVerbs(() => feed.look());
followAddress();
setInterval(showAge, AGE_MS);
feed.begin();
