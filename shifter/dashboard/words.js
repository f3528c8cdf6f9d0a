// words.js -- numbers, times and lists as a person reads them.  Null, and whatever else is missing
// or of another type, is a dash.

export const UNKNOWN = "–";

export function isNumber(value) {
    return typeof value === "number" && Number.isFinite(value);
}

export function text(value) {
    return typeof value === "string" && value !== "" ? value : UNKNOWN;
}

export function list(value) {
    return Array.isArray(value) ? value : [];
}

export function object(value) {
    return value !== null && typeof value === "object" && !Array.isArray(value) ? value : {};
}

// A weight, which comes per cent.
export function perCent(value) {
    return isNumber(value) ? `${Number(value.toFixed(2))} %` : UNKNOWN;
}

// A share, which comes as a fraction.
export function share(value) {
    if (!isNumber(value)) {
        return UNKNOWN;
    }
    return value > 0 && value < 0.0001 ? "< 0.01 %" : `${(value * 100).toFixed(2)} %`;
}

export function count(value) {
    return isNumber(value) ? value.toLocaleString("en") : UNKNOWN;
}

export function rate(value) {
    return isNumber(value) ? `${count(Number(value.toFixed(value < 10 ? 1 : 0)))}/s` : UNKNOWN;
}

export function milliseconds(value) {
    return isNumber(value) ? `${Number(value.toFixed(value < 10 ? 1 : 0))} ms` : UNKNOWN;
}

// 7384 -> 2 h 3 m; the two greatest units.
export function duration(seconds) {
    if (!isNumber(seconds)) {
        return UNKNOWN;
    }
    const whole = Math.max(0, Math.floor(seconds));
    const parts = [[Math.floor(whole / 86400), "d"], [Math.floor(whole / 3600) % 24, "h"],
                   [Math.floor(whole / 60) % 60, "m"], [whole % 60, "s"]];
    const first = parts.findIndex(([number]) => number > 0);
    if (first < 0) {
        return "0 s";
    }
    return parts.slice(first, first + 2).filter(([number]) => number > 0)
        .map(([number, unit]) => `${number} ${unit}`).join(" ");
}

function dateOf(value) {
    const at = typeof value === "string" ? new Date(value) : new Date(NaN);
    return Number.isNaN(at.getTime()) ? null : at;
}

// An RFC 3339 time at this reader's clock; the day only where it is another.
export function clock(value) {
    const at = dateOf(value);
    if (at === null) {
        return UNKNOWN;
    }
    const two = (number) => String(number).padStart(2, "0");
    const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
    const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
    return at.toDateString() === new Date().toDateString() ? time : `${day} ${time}`;
}

// Seconds from now to that time, negative where it is past; null where it is none.
export function secondsUntil(value) {
    const at = dateOf(value);
    return at === null ? null : (at.getTime() - Date.now()) / 1000;
}
