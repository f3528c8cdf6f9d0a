// api.js -- the admin API (API.md) as the page asks it.
//
// Where the port wants a token it is kept for this tab only and sent as Bearer, never in a cookie:
// no other site can make this browser send it.

import { object } from "./words.js";

const TOKEN_KEY = "crossfade.token";
const ANSWER_MS = 8000;    // a question is answered in 3 s at most, or by this host alone
const RETRIES = 3;         // of a command whose answer was lost
const RETRY_MS = 1000;

// A refusal, or no answer at all (`status` 0); `message` is the sentence to show.
export class Refusal extends Error {
    constructor(status, exit, message) {
        super(message);
        this.status = status;
        this.exit = exit;
    }

    // Whether another token may help.
    get isAboutToken() {
        return this.status === 401 || this.status === 403 || this.status === 429;
    }
}

export function hasToken() {
    return sessionStorage.getItem(TOKEN_KEY) !== null;
}

export function setToken(value) {
    if (value) {
        sessionStorage.setItem(TOKEN_KEY, value);
    } else {
        sessionStorage.removeItem(TOKEN_KEY);
    }
}

function headers(more) {
    const token = sessionStorage.getItem(TOKEN_KEY);
    return token === null ? { ...more } : { ...more, Authorization: `Bearer ${token}` };
}

async function refusalOf(response) {
    let body = {};
    try {
        body = await response.json();
    } catch {
        // something else answers in its place
    }
    const said = typeof body?.message === "string" && body.message !== "";
    return new Refusal(response.status, body?.exit ?? null,
                       said ? body.message : `answered with status ${response.status}`);
}

async function send(path, options) {
    let response;
    try {
        response = await fetch(path, { ...options, cache: "no-store", redirect: "error" });
    } catch {
        throw new Refusal(0, 7, "no answer");
    }
    if (!response.ok) {
        throw await refusalOf(response);
    }
    return response;
}

async function bodyOf(response) {
    try {
        return object(await response.json());
    } catch {
        throw new Refusal(0, 7, "the answer broke off");
    }
}

export function pathOf(service, what) {
    return `/v1/services/${encodeURIComponent(service)}/${what}`;
}

// The JSON that answers GET `path`; throws a Refusal.
export async function get(path) {
    return bodyOf(await send(path, { headers: headers(),
                                     signal: AbortSignal.timeout(ANSWER_MS) }));
}

// crypto.randomUUID is not there on a page that came by plain HTTP from afar.
function makeRequestId() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20),
            hex.slice(20)].join("-");
}

// A verb; answers when it is in force everywhere, which may take minutes.  An answer that was lost
// is asked for again with the same id, so nothing is done twice.  Throws a Refusal.
export async function command(service, verb, body) {
    const text = JSON.stringify({ ...body, request: makeRequestId() });
    for (let tried = 1; ; tried++) {
        try {
            return await bodyOf(await send(pathOf(service, verb), {
                method: "POST", body: text, headers: headers({ "Content-Type": "application/json" }),
            }));
        } catch (problem) {
            if (!(problem instanceof Refusal) || problem.status !== 0) {
                throw problem;
            }
            if (tried > RETRIES) {
                throw new Refusal(0, 7, "no answer: it may be done or not; the history tells");
            }
        }
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
}

// The stream of GET /events, opened; throws a Refusal.
export async function openEvents(signal) {
    const response = await send("/events", { headers: headers({ Accept: "text/event-stream" }),
                                             signal });
    return response.body.getReader();
}
