// dom.js -- elements.  Text from outside is only ever set as text: no string becomes HTML here, and
// the page's policy (require-trusted-types-for) would refuse it.

export function byId(id) {
    return document.getElementById(id);
}

// An element with `attributes` (null, undefined, false: left out) and children: elements, or what
// is shown as text; null is none.
export function element(tag, attributes, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes ?? {})) {
        if (value !== null && value !== undefined && value !== false) {
            made.setAttribute(name, value === true ? "" : String(value));
        }
    }
    made.append(...children.filter((child) => child !== null && child !== undefined));
    return made;
}

// Sets the text only where it is another, so that a selection stays and a screen reader hears
// changes and nothing else.
export function setText(node, text) {
    const wanted = String(text ?? "");
    if (node.textContent !== wanted) {
        node.textContent = wanted;
    }
}

export function show(node, shown) {
    if (node.hidden === Boolean(shown)) {
        node.hidden = !shown;
    }
}

// Replaces the children only where they would look different, for the same reason.
export function setChildren(node, children) {
    const made = children.filter((child) => child !== null && child !== undefined);
    const same = made.length === node.children.length &&
        made.every((child, i) => child.isEqualNode(node.children[i]));
    if (!same) {
        node.replaceChildren(...made);
    }
}
