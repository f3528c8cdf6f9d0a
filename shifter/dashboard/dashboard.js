// dashboard.js -- the page begins here: who asks, what is shown, how often.
import { Refusal, get, pathOf, setToken } from "./dashboard/api.js";
import { byId, element, perCent, setText, show } from "./dashboard/dom.js";

const LOOK_MS = 2000;
let answeredAt = null; // performance.now() of the last whole answer

function card(status) {
    const weight = status.weight || {};
    const held = (status.holds || []).map((hold) => `${hold.reason}: ${hold.sentence || ""}`);
    return element("section", { "data-service": status.service },
        element("h2", {}, status.service || ""),
        element("p", { class: "state" }, status.state || "unknown"),
        element("p", { class: "weight" },
            `${perCent(weight.actual)} in force, ${perCent(weight.desired)} wanted`),
        element("ul", { class: "holds" }, ...held.map((text) => element("li", {}, text))));
}

function askForToken(problem) {
    show(byId("sign-in"), true);
    setText(byId("sign-in-problem"), problem);
}

function sayAge() {
    const age = answeredAt === null ? null : Math.round((performance.now() - answeredAt) / 1000);
    setText(byId("freshness"), age === null ? "no answer yet"
        : age * 1000 < 3 * LOOK_MS ? "up to date" : `no answer since ${age} s`);
}

async function look() {
    try {
        const { services } = await get("/v1/services");
        const all = await Promise.all(services.map((name) => get(pathOf(name, "status"))));
        byId("services").replaceChildren(...all.map(card));
        answeredAt = performance.now();
        show(byId("sign-in"), false);
    } catch (problem) {
        if (!(problem instanceof Refusal)) {
            throw problem;
        }
        if ([401, 403, 429].includes(problem.status)) {
            askForToken(problem.message);
            return;
        }
    } finally {
        sayAge();
    }
    setTimeout(look, LOOK_MS);
}

byId("sign-in").addEventListener("submit", (event) => {
    event.preventDefault();
    setToken(byId("token").value.trim());
    byId("token").value = "";
    look();
});
setInterval(sayAge, 1000);
look();
