// dom.js -- elements and words.  Text from outside is only ever set as text: no string becomes HTML
// here, and the page's policy (require-trusted-types-for) would refuse it.

// An element with `attributes` (null: left out) and children: elements, or what is shown as text.
export function element(tag, attributes, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
        if (value !== null && value !== undefined && value !== false) {
            made.setAttribute(name, value === true ? "" : String(value));
        }
    }
    made.append(...children.filter((child) => child !== null && child !== undefined));
    return made;
}

export function byId(id) {
    return document.getElementById(id);
}

// Sets the text only where it is another, so that a screen reader hears changes and nothing else.
export function setText(node, text) {
    if (node.textContent !== text) {
        node.textContent = text;
    }
}

export function show(node, shown) {
    node.hidden = !shown;
}

export const UNKNOWN = "–";

export function isNumber(value) {
    return typeof value === "number" && Number.isFinite(value);
}

export function perCent(value) {
    return isNumber(value) ? `${Number(value.toFixed(2))} %` : UNKNOWN;
}
