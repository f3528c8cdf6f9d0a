// plan.js -- the plan as a timeline: what is done, what is now, what is to come.
import { byId, element, setChildren, show } from "./dom.js";
import { isNumber, list, object, text } from "./words.js";

const STATES = ["preflight", "shifting", "soaking", "draining", "safe", "finalized"];

let plan = null;
let status = null;

// A step ends where the next begins; before, `now`, after.
function placeOf(number, index, state) {
    if (state === "finalizing" || STATES.indexOf(state) >= STATES.indexOf("draining")) {
        return "done";
    }
    return number < index ? "done" : number === index ? "now" : "next";
}

function part(place, title, notes, progress) {
    const said = { done: "✓ done", now: "▶ now", next: "" }[place];
    return element("li", { class: place, "aria-current": place === "now" ? "step" : null },
        element("strong", {}, title),
        element("span", { class: "muted" }, notes),
        progress === null ? null : element("progress", { max: 1, value: progress,
                                                         "aria-label": "of this step's hold" }),
        said === "" ? null : element("span", { class: "place" }, said));
}

function stepOf(each, number) {
    const step = object(each);
    const now = object(status.step);
    const place = placeOf(number, now.index, status.state);
    const notes = [`hold ${text(step.hold)}`];
    if (step.ramp !== undefined) {
        notes.unshift(`over ${text(step.over)}`);
    }
    if (step.approve === true) {
        notes.push("approval");
    }
    if (step.evidence === "advisory") {
        notes.push("evidence advisory");
    }
    const whole = isNumber(now.elapsed_s) && isNumber(now.remaining_s)
        ? now.elapsed_s + now.remaining_s : 0;
    const progress = place === "now" && whole > 0 ? (now.elapsed_s / whole).toFixed(2) : null;
    return part(place, step.ramp !== undefined ? `ramp to ${text(step.ramp)}` : text(step.weight),
                notes.join(", "), progress);
}

function tail(state, notes) {
    const at = status.state === "finalizing" ? "safe" : status.state;
    const place = STATES.indexOf(state) < STATES.indexOf(at) ? "done"
        : state === at ? "now" : "next";
    return part(place, state, notes, null);
}

function draw() {
    const steps = list(object(plan).steps);
    const runs = steps.length > 0 && status !== null && typeof status.to === "string";
    show(byId("plan-card"), runs);
    if (!runs) {
        return;
    }
    const auto = object(plan.finalize).when === "auto";
    setChildren(byId("plan"), [
        ...steps.map((step, i) => stepOf(step, i + 1)),
        tail("draining", "blue empties"), tail("safe", "signal"),
        tail("finalized", auto ? "by itself" : "by hand")]);
}

export function showPlan(answer) {
    plan = object(answer).plan ?? null;
    draw();
}

export function showPlanStatus(of) {
    status = of;
    draw();
}
