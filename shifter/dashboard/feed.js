// feed.js -- what the page knows, and how old it is.
//
// The selected service is asked for every 2 s, and at once when an event tells of a change; what
// takes the leader more work (why, history) only when something changed, or every 10 s.  Events are
// a help, never the truth: without them everything is asked for all the same.
import { Refusal, get, pathOf } from "./api.js";
import { Events } from "./events.js";
import { list } from "./words.js";

const LOOK_MS = 2000;
const LOOK_MS_HIDDEN = 10000; // in a tab that nobody looks at
const SLOW_MS = 10000;
const OLD_MS = 6000;          // without an answer; then what is shown is called old
const HISTORY_COUNT = 15;

// Both clocks: one stands still while a laptop sleeps, the other may be set.
function now() {
    return { monotonic: performance.now(), wall: Date.now() };
}

export class Feed {
    // shown: services(names, selected), change(overview), status(status), plan(answer), why(answer),
    // history(answer), locked(refusal).
    constructor(shown) {
        this.shown = shown;
        this.names = [];
        this.selected = null;
        this.answered = null; // when status was answered last
        this.problem = null;  // the sentence of the last failure since
        this.seen = "";       // what the slow questions were asked about
        this.slowAt = 0;
        this.othersAt = 0;
        this.looking = null; // resolves when all that is asked for is shown
        this.again = false;
        this.timer = null;
        this.live = false;
        this.events = new Events((change) => this.hear(change), (live) => this.setLive(live));
        document.addEventListener("visibilitychange", () => this.begin());
    }

    // How old what is shown is, in ms; null: nothing was ever answered.
    age() {
        if (this.answered === null) {
            return null;
        }
        const at = now();
        return Math.max(0, at.monotonic - this.answered.monotonic, at.wall - this.answered.wall);
    }

    isOld() {
        const age = this.age();
        const allowed = document.hidden ? LOOK_MS_HIDDEN + OLD_MS : OLD_MS;
        return age === null ? this.problem !== null : age > allowed;
    }

    // Also after a token was given, or the tab came to the front.
    begin() {
        this.events.listen(!document.hidden);
        this.look();
    }

    end() {
        clearTimeout(this.timer);
        this.events.listen(false);
    }

    select(name) {
        if (name !== this.selected) {
            this.selected = name;
            this.seen = "";
            this.look();
        }
    }

    setLive(live) {
        this.live = live;
    }

    hear(change) {
        this.shown.change(change);
        if (change.service === this.selected) {
            this.look();
        }
    }

    look() {
        if (this.looking !== null) {
            this.again = true;
        } else {
            this.looking = this.run();
        }
        return this.looking;
    }

    async run() {
        clearTimeout(this.timer);
        let locked = null;
        try {
            do {
                this.again = false;
                await this.ask();
            } while (this.again);
            this.problem = null;
        } catch (problem) {
            this.problem = problem.message;
            if (problem instanceof Refusal) {
                locked = problem.isAboutToken ? problem : null;
            } else {
                reportError(problem); // a fault of this page, which asks on all the same
            }
        } finally {
            this.looking = null;
        }
        if (locked !== null) {
            this.end();
            this.shown.locked(locked);
            return;
        }
        this.timer = setTimeout(() => this.look(), document.hidden ? LOOK_MS_HIDDEN : LOOK_MS);
    }

    async ask() {
        const slow = performance.now() - this.slowAt >= SLOW_MS;
        if (this.names.length === 0 || slow) {
            this.names = list((await get("/v1/services")).services);
            if (!this.names.includes(this.selected)) {
                this.selected = await this.choose();
                this.seen = "";
            }
            this.shown.services(this.names, this.selected);
        }
        const name = this.selected;
        if (name === null) {
            this.answered = now();
            return;
        }
        const status = await get(pathOf(name, "status"));
        if (name !== this.selected) {
            this.again = true;
            return;
        }
        this.answered = now();
        this.shown.status(status);
        const about = JSON.stringify([name, status.version, status.holds, status.verdict]);
        if (about !== this.seen || slow) {
            await this.askMore(name);
            this.seen = about;
            this.slowAt = performance.now();
        }
        await this.askOthers();
    }

    // Where nobody said which: the first that something is going on with.
    async choose() {
        for (const name of this.names.length > 1 ? this.names : []) {
            const status = await get(pathOf(name, "status"));
            if (typeof status.to === "string" || list(status.holds).length > 0) {
                return name;
            }
        }
        return this.names[0] ?? null;
    }

    // Each of them may be missing without a leader; the rest is shown.
    async askMore(name) {
        const questions = [["plan", "plan"], ["why", "why"],
                           ["history", `history?count=${HISTORY_COUNT}`]];
        for (const [what, path] of questions) {
            let answer = null;
            try {
                answer = await get(pathOf(name, path));
            } catch (problem) {
                if (!(problem instanceof Refusal) || problem.isAboutToken) {
                    throw problem;
                }
            }
            if (name === this.selected) {
                this.shown[what](answer);
            }
        }
    }

    // The events tell of them; without events they are asked.
    async askOthers() {
        if (this.live || this.names.length < 2 || performance.now() - this.othersAt < SLOW_MS) {
            return;
        }
        this.othersAt = performance.now();
        for (const name of this.names.filter((each) => each !== this.selected)) {
            const status = await get(pathOf(name, "status"));
            this.shown.change({ ...status, holds: list(status.holds).map((hold) => hold?.reason) });
        }
    }
}
