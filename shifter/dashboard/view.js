// view.js -- one service at a glance: state, weight, step, holds, signal, verdict.
import { byId, element, setChildren, setText, show } from "./dom.js";
import { clock, duration, isNumber, list, object, perCent, secondsUntil, text } from "./words.js";

const ALARMING = ["aborting", "aborted"];

// What happens in each state, for who has not read the manual at this hour.
const MEANINGS = {
    idle: "Nothing runs.",
    preflight: "The plan's gates are asked before anything moves.",
    shifting: "The weight climbs by the plan.",
    soaking: "All traffic is on green; blue stays warm.",
    draining: "Blue gets nothing new; it finishes what it has.",
    safe: "Blue is empty and may be decommissioned.",
    finalizing: "Past the point of no return: the last actions run.",
    finalized: "The cutover is done.",
    aborting: "All traffic goes back to blue.",
    aborted: "The cutover was given up.",
};

function isRunning(status) {
    return typeof status.from === "string" && typeof status.to === "string";
}

function drawHead(status) {
    const held = list(status.holds).length;
    setText(byId("service-name"), text(status.service));
    setText(byId("state"), text(status.state));
    byId("state").className = ALARMING.includes(status.state) ? "badge bad" : "badge";
    show(byId("held"), held > 0);
    setText(byId("held"), held > 1 ? `held by ${held}` : "held");
    const last = object(status.last);
    const before = typeof last.cutover === "string"
        ? `last: ${last.cutover}, ${text(last.outcome)} ${clock(last.at)}` : "";
    setText(byId("cutover"), isRunning(status)
        ? `${text(status.cutover)}, since ${clock(status.since)}` : before);
    const where = isRunning(status) ? `from ${status.from} (blue) to ${status.to} (green)`
        : `all traffic goes to ${text(status.live)}`;
    setText(byId("route"), `${MEANINGS[status.state] ?? ""} ${where[0].toUpperCase()}${where.slice(1)}.`);
}

// Without a leader this host answers by itself, from what it heard last.
function drawAlone(status) {
    const led = typeof object(status.leader).name === "string";
    show(byId("alone"), !led);
    setText(byId("alone"), led ? ""
        : "Nobody leads this service: its weight stays as it is. Shown is what this host knows by itself.");
}

function drawBar(status) {
    const weight = object(status.weight);
    const actual = isNumber(weight.actual) ? Math.min(100, Math.max(0, weight.actual)) : null;
    const wanted = isNumber(weight.desired) ? Math.min(100, Math.max(0, weight.desired)) : null;
    const running = isRunning(status);
    const moves = running && wanted !== null && wanted !== actual;
    show(byId("bar"), running);
    show(document.querySelector(".ends"), running);
    byId("bar").classList.toggle("unknown", actual === null);
    byId("bar-green").style.width = `${actual ?? 0}%`;
    byId("bar-wanted").style.left = `${wanted ?? 0}%`;
    show(byId("bar-wanted"), moves);
    const rest = actual === null ? null : 100 - actual;
    setText(byId("green-end"), running ? `${status.to} (green) ${perCent(actual)}` : "");
    setText(byId("blue-end"), running ? `${status.from} (blue) ${perCent(rest)}` : "");
    setText(byId("wanted"), moves ? `wanted ${perCent(wanted)}` : "");
    byId("bar").setAttribute("aria-label", running
        ? `${perCent(actual)} to green, ${perCent(rest)} to blue, ${perCent(wanted)} wanted on green`
        : "");
}

function drawStep(status) {
    const step = object(status.step);
    const parts = [];
    if (isNumber(step.index)) {
        parts.push(`Step ${step.index} of ${isNumber(step.count) ? step.count : "?"}`);
        if (isNumber(step.weight)) {
            parts.push(`to ${perCent(step.weight)}`);
        }
        if (isNumber(step.remaining_s)) {
            parts.push(step.remaining_s >= 1 ? `${duration(step.remaining_s)} left` : "its hold is over");
        }
        if (status.approval === "needed") {
            parts.push("waits for an approval");
        }
        const end = secondsUntil(step.eta);
        if (end !== null) {
            parts.push(`the plan ends about ${clock(step.eta)}, in ${duration(end)}`);
        }
    }
    setText(byId("step"), parts.join(" · "));
    show(byId("step"), parts.length > 0);
}

function hold(each) {
    const one = object(each);
    const by = typeof one.by === "string" ? `, by ${one.by}` : "";
    const until = typeof one.lifted_by === "string" ? `Ends by: ${one.lifted_by}` : null;
    return element("li", {},
        element("p", {}, element("strong", {}, text(one.reason)), " ", text(one.sentence)),
        element("p", { class: "muted" }, `since ${clock(one.since)}${by}`),
        until === null ? null : element("p", { class: "until" }, until));
}

function drawHolds(status) {
    const holds = list(status.holds);
    show(byId("holds-card"), holds.length > 0);
    setChildren(byId("holds"), holds.map(hold));
}

const DELIVERED = "blue may be decommissioned";

function drawSignal(status) {
    const signal = object(status.signal);
    const blockers = list(signal.blockers).filter((each) => typeof each === "string");
    const sent = typeof signal.key === "string";
    const accepted = typeof signal.accepted_at === "string"
        ? `accepted ${clock(signal.accepted_at)}` : "being delivered";
    show(byId("signal-card"), sent || blockers.length > 0);
    setText(byId("signal"), sent
        ? `${signal.sequence > 1 ? "REVOKED: blue must stay" : DELIVERED}. Key ${signal.key}, ${accepted}.`
        : "Blue may not be decommissioned yet. What stands in the way:");
    setChildren(byId("blockers"), blockers.map((each) => element("li", {}, each)));
}

function drawVerdict(status) {
    const verdict = object(status.verdict);
    const samples = isNumber(verdict.samples_green)
        ? ` (of ${verdict.samples_green} answers of green, ${verdict.samples_blue ?? "?"} of blue)` : "";
    setText(byId("verdict"), typeof verdict.sentence === "string"
        ? `${text(verdict.rule)}: ${verdict.sentence}${samples}` : "No verdict.");
}

// Only what a person must hear of: a ramp would speak every five seconds.
function announce(status) {
    const step = object(status.step);
    const holds = list(status.holds).map((each) => object(each).reason);
    const said = [text(status.service), text(status.state)];
    if (isRunning(status) && isNumber(step.index)) {
        said.push(`step ${step.index} of ${step.count}`);
    }
    said.push(holds.length > 0 ? `held by ${holds.join(", ")}` : "not held");
    setText(byId("announced"), said.join(", "));
}

export function showStatus(status) {
    show(byId("service"), true);
    drawAlone(status);
    drawHead(status);
    drawBar(status);
    drawStep(status);
    drawHolds(status);
    drawSignal(status);
    drawVerdict(status);
    announce(status);
    const held = list(status.holds).length > 0 ? " held" : "";
    const weight = isRunning(status) ? ` ${perCent(object(status.weight).actual)}` : "";
    document.title = `${text(status.service)} ${text(status.state)}${weight}${held} · crossfade`;
}

export function showWhy(answer) {
    setText(byId("why"), answer === null ? "Nobody leads this service now, or does not answer."
        : text(answer.text));
}
