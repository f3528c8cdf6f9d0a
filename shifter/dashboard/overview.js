// overview.js -- the list of services, one line each, from events or from their status.
import { byId, element, setChildren, show } from "./dom.js";
import { list, object, perCent, text } from "./words.js";

const changes = new Map();
let names = [];
let selected = null;

function line(name) {
    const change = object(changes.get(name));
    const held = list(change.holds).filter((hold) => typeof hold === "string");
    const state = held.length > 0 ? `${text(change.state)}, held` : text(change.state);
    return element("li", {},
        element("a", { href: `#${encodeURIComponent(name)}`,
                       "aria-current": name === selected ? "true" : null,
                       class: held.length > 0 ? "held" : null },
            element("strong", {}, name), " ",
            element("span", { class: "state" }, state), " ",
            element("span", { class: "number" }, perCent(object(change.weight).actual))));
}

function draw() {
    show(byId("services"), names.length > 1);
    setChildren(byId("service-list"), names.map(line));
}

export function showServices(all, which) {
    names = all.filter((name) => typeof name === "string");
    selected = which;
    draw();
}

export function showChange(change) {
    changes.set(change.service, change);
    draw();
}

// The service that the address of the page names; null: none.
export function named() {
    try {
        return decodeURIComponent(location.hash.slice(1)) || null;
    } catch {
        return null;
    }
}
