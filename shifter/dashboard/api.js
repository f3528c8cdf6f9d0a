// api.js -- the admin API (API.md) as the page asks it.
//
// Where the port wants a token it is kept for this tab only and sent as Bearer, never in a cookie:
// no other site can make this browser send it.

const TOKEN_KEY = "crossfade.token";
const ANSWER_MS = 10000;

// A refusal, or no answer at all (`status` 0); `message` is the sentence to show.
export class Refusal extends Error {
    constructor(status, exit, message) {
        super(message);
        this.status = status;
        this.exit = exit;
    }
}

export function token() {
    return sessionStorage.getItem(TOKEN_KEY);
}

export function setToken(value) {
    if (value) {
        sessionStorage.setItem(TOKEN_KEY, value);
    } else {
        sessionStorage.removeItem(TOKEN_KEY);
    }
}

export function headers() {
    const value = token();
    return value ? { Authorization: `Bearer ${value}` } : {};
}

async function sentenceOf(response) {
    try {
        const body = await response.json();
        return [body.exit ?? null, String(body.message ?? `HTTP status ${response.status}`)];
    } catch {
        return [null, `HTTP status ${response.status}`];
    }
}

// The JSON that answers GET `path`; throws a Refusal.
export async function get(path) {
    let response;
    try {
        response = await fetch(path, { headers: headers(), cache: "no-store",
                                       signal: AbortSignal.timeout(ANSWER_MS) });
    } catch {
        throw new Refusal(0, 7, "no answer");
    }
    if (!response.ok) {
        throw new Refusal(response.status, ...await sentenceOf(response));
    }
    try {
        return await response.json();
    } catch {
        throw new Refusal(0, 7, "the answer broke off");
    }
}

export function pathOf(service, what) {
    return `/v1/services/${encodeURIComponent(service)}/${what}`;
}
