// events.js -- listens to /events and comes back after every break.
//
// EventSource cannot send a token, so the stream is read by fetch.  A tab that nobody looks at does
// not listen: a browser opens few connections to a host, and this host serves few listeners.
import { Refusal, openEvents } from "./api.js";

const SILENCE_MS = 40000; // the server says something every 15 s
const BREAK_MS = 1000;    // before the next attempt; doubled up to the longest
const BREAK_MS_MAX = 15000;
const EVENT_CHARS_MAX = 262144;

function dataOf(event) {
    const lines = event.split("\n").filter((line) => line.startsWith("data:"));
    try {
        return lines.length > 0 ? JSON.parse(lines.map((line) => line.slice(5)).join("\n")) : null;
    } catch {
        return null;
    }
}

export class Events {
    // heard(change): one event's data.  live(whether): the stream stands, or broke off.
    constructor(heard, live) {
        this.heard = heard;
        this.live = live;
        this.wanted = false;
        this.stop = null;
        this.timer = null;
        this.pauseMs = BREAK_MS;
    }

    listen(wanted) {
        if (wanted === this.wanted) {
            return;
        }
        this.wanted = wanted;
        clearTimeout(this.timer);
        if (wanted) {
            this.pauseMs = BREAK_MS;
            this.run();
        } else {
            this.stop?.abort();
        }
    }

    async run() {
        const stop = new AbortController();
        this.stop = stop;
        try {
            await this.read(await openEvents(stop.signal), stop);
        } catch (problem) {
            if (problem instanceof Refusal && problem.isAboutToken) {
                this.pauseMs = BREAK_MS_MAX;
            }
        }
        stop.abort();
        if (this.stop === stop) {
            this.live(false);
            if (this.wanted) {
                this.timer = setTimeout(() => this.run(), this.pauseMs);
                this.pauseMs = Math.min(2 * this.pauseMs, BREAK_MS_MAX);
            }
        }
    }

    async read(reader, stop) {
        const decoder = new TextDecoder();
        let silence = null;
        let rest = "";
        try {
            for (;;) {
                clearTimeout(silence);
                silence = setTimeout(() => stop.abort(), SILENCE_MS);
                const { done, value } = await reader.read();
                if (done) {
                    return;
                }
                this.pauseMs = BREAK_MS;
                this.live(true);
                const events = (rest + decoder.decode(value, { stream: true })).split("\n\n");
                rest = events.pop();
                if (rest.length > EVENT_CHARS_MAX) {
                    return;
                }
                for (const data of events.map(dataOf).filter((each) => each !== null)) {
                    queueMicrotask(() => this.heard(data)); // its errors are none of the stream
                }
            }
        } finally {
            clearTimeout(silence);
        }
    }
}
