// tables.js -- what the service stands on: clusters and servers, proxies, control plane, history.
import { byId, element, setChildren, setText } from "./dom.js";
import { UNKNOWN, clock, count, duration, isNumber, list, milliseconds, object, perCent, rate, share,
         text } from "./words.js";

const ROLES = { blue: "blue, the old one", green: "green, the new one", live: "live" };
const ORDER = ["green", "blue", "live"];

function fact(name, value, bad) {
    return element("div", { class: bad ? "bad" : null }, element("dt", {}, name),
                   element("dd", {}, value));
}

// ---- clusters ----

function server(each) {
    const one = object(each);
    const reason = typeof one.reason === "string" ? ` ${one.reason}` : "";
    return element("li", { class: one.up === true ? null : "bad" },
        element("code", {}, text(one.address)), one.up === true ? " up" : " ✗ DOWN", reason,
        isNumber(one.in_flight) ? element("span", { class: "muted" }, ` ${one.in_flight} in flight`)
            : null);
}

function cluster(name, each) {
    const one = object(each);
    const servers = list(one.servers);
    const up = servers.filter((one_of) => object(one_of).up === true).length;
    const bad = isNumber(one.error_ratio) && one.error_ratio > 0;
    const role = ORDER.includes(one.role) ? one.role : "none";
    return element("article", { class: `cluster ${role}` },
        element("h3", {}, name, " ", element("span", { class: "muted" }, ROLES[one.role] ?? "not in use")),
        element("dl", { class: "facts" },
            fact("requests", rate(one.rps)),
            fact("errors", share(one.error_ratio), bad),
            fact("p50", milliseconds(one.p50_ms)),
            fact("p99", milliseconds(one.p99_ms)),
            fact("in flight", count(one.in_flight)),
            fact("tunnels", count(one.tunnels)),
            fact("rescued", count(one.rescued)),
            fact("servers up", `${up} of ${servers.length}`, up < servers.length)),
        element("ul", { class: "servers" }, ...servers.map(server)));
}

function drawClusters(status) {
    const place = ([, each]) => (ORDER.indexOf(object(each).role) + ORDER.length + 1) %
        (ORDER.length + 1);
    const all = Object.entries(object(status.clusters)).sort((a, b) => place(a) - place(b));
    setChildren(byId("clusters"), all.map(([name, each]) => cluster(name, each)));
}

// ---- proxies ----

function proxy(each) {
    const one = object(each);
    const state = one.silent === true ? "✗ silent" : one.in_force === true ? "✓ in force" : "… behind";
    const good = one.silent !== true && one.in_force === true;
    return element("tr", { class: good ? null : "bad" },
        element("th", { scope: "row", title: text(one.id) }, text(one.name)),
        element("td", {}, state), element("td", { class: "number" }, text(one.version)),
        element("td", { class: "number" },
            isNumber(one.last_seen_s) ? `${one.last_seen_s.toFixed(0)} s ago` : UNKNOWN));
}

function drawProxies(status) {
    const all = list(status.proxies);
    const good = all.filter((each) => object(each).in_force === true && object(each).silent !== true);
    setText(byId("proxies-count"), `${good.length} of ${all.length} in force`);
    setChildren(byId("proxies"), all.map(proxy));
}

// ---- control plane ----

function drawControl(status) {
    const leader = object(status.leader);
    const store = object(status.store);
    const journal = object(status.journal);
    const config = object(status.config);
    const led = typeof leader.name === "string";
    const kind = [text(store.kind), store.scope].filter((each) => typeof each === "string").join(", ");
    const old = isNumber(store.stale_s) ? `, what is shown is ${duration(store.stale_s)} old` : "";
    const kept = journal.ok === true ? `ok, ${count(journal.backlog)} to copy`
        : `✗ away, ${count(journal.backlog)} to copy`;
    setChildren(byId("control"), [
        fact("leader", led ? `${leader.name}, epoch ${count(leader.epoch)}`
            : "✗ none: the weight stays as it is", !led),
        fact("store", `${store.ok === true ? "ok" : "✗ away"} (${kind})${old}`,
             store.ok !== true || isNumber(store.stale_s)),
        fact("journal", isNumber(journal.backlog) ? kept : "not configured", journal.ok === false),
        fact("configuration", config.reload_ok === false
            ? `✗ the last reload was refused: ${text(config.error)}` : "ok", config.reload_ok === false),
        fact("fence", status.fence === "up" ? `up, ${count(status.fenced)} refused` : "down"),
        fact("version", text(status.version)),
    ]);
}

export function showTables(status) {
    drawClusters(status);
    drawProxies(status);
    drawControl(status);
}

// ---- history ----

function entry(each) {
    const one = object(each);
    const before = object(one.before);
    const after = object(one.after);
    const moved = before.weight === after.weight ? perCent(after.weight)
        : `${perCent(before.weight)} → ${perCent(after.weight)}`;
    const state = before.state === after.state ? text(after.state)
        : `${text(before.state)} → ${text(after.state)}`;
    const reason = typeof one.reason === "string" && one.reason !== "" ? ` (${one.reason})` : "";
    return element("li", {},
        element("p", {}, element("time", { datetime: text(one.at) }, clock(one.at)), " ",
            element("strong", {}, text(one.verb)), ` ${state}, ${moved}, `,
            element("span", { class: "muted" }, `by ${text(one.actor)}${reason}`)),
        typeof one.sentence === "string" && one.sentence !== ""
            ? element("p", { class: "sentence" }, one.sentence) : null);
}

export function showHistory(answer) {
    const entries = answer === null ? null : list(answer.entries);
    setChildren(byId("history"), entries === null
        ? [element("li", {}, "Nobody leads this service now, or does not answer.")]
        : [...entries].reverse().map(entry));
}
