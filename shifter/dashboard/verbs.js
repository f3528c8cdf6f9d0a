// verbs.js -- the verbs: a button each, a dialog that says what will happen, the answer in words.
//
// Each but `pause` and `abort` carries the generation that the page showed when the dialog opened:
// where somebody or something else was first, the leader refuses (exit 4), the dialog says so and
// goes by the new one.  Those two are to work at once: a step in between is no reason against them.
import { Refusal, command } from "./api.js";
import { byId, element, setText, show } from "./dom.js";
import { clock, list, object, perCent, text } from "./words.js";

const NAME_KEY = "crossfade.name";
const STEERED = ["shifting", "soaking", "draining"];

const VERBS = [
    { name: "pause", states: ["preflight", ...STEERED, "safe"], atOnce: true,
      meaning: "The weight stays where it is until you resume." },
    { name: "resume", states: ["preflight", ...STEERED, "safe"],
      when: (status) => holdsOfPeople(status).length > 0,
      meaning: "Ends what a person may end; the plan goes on." },
    { name: "step", states: ["shifting", "soaking"],
      meaning: "Ends this step's hold, approval and evidence: on to the next step now." },
    { name: "back", states: STEERED, pinned: true,
      meaning: "Back to the step before, held until you resume." },
    { name: "approve", states: STEERED, pinned: true,
      when: (status) => status.approval === "needed",
      meaning: "This step's approval; the plan goes on when its hold is over." },
    { name: "abort", states: ["preflight", ...STEERED], grave: true, atOnce: true,
      meaning: "All traffic goes back to blue at once, and the cutover ends." },
];

let status = null;
let asked = null; // the verb in the dialog, and the status that it goes by
let buttons = null;

function holdsOfPeople(of) {
    const people = ["operator", "errors", "latency", "drift", "override", "fork", "deadline"];
    return list(of.holds).map(object).filter((hold) => people.includes(hold.reason));
}

function mayBe(verb) {
    return verb.states.includes(status.state) && (verb.when === undefined || verb.when(status));
}

// ---- the dialog ----

function offerChoices() {
    const choices = [element("option", { value: "" }, "all that I may end")];
    for (const hold of holdsOfPeople(asked.status)) {
        const by = typeof hold.by === "string" && hold.reason === "operator" ? ` of ${hold.by}` : "";
        choices.push(element("option", { value: hold.reason }, `${hold.reason}${by}`));
    }
    byId("ask-choice").replaceChildren(...choices);
}

function describePlace() {
    const of = asked.status;
    const holds = list(of.holds).map((hold) => object(hold).reason).join(", ");
    setText(byId("ask-place"), `${text(of.service)}: ${text(of.state)}, ` +
        `${perCent(object(of.weight).actual)} on green, step ${object(of.step).index ?? "–"} of ` +
        `${object(of.step).count ?? "–"}${holds === "" ? "" : `, held by ${holds}`}. ` +
        `Generation ${of.generation ?? "–"}, as shown at ${clock(new Date().toISOString())}.`);
}

function open(verb) {
    asked = { verb, status, sending: false };
    setText(byId("ask-title"), `${verb.name} ${text(status.service)}`);
    setText(byId("ask-meaning"), verb.meaning);
    setText(byId("ask-problem"), "");
    setText(byId("ask-send"), verb.name);
    byId("ask-send").className = verb.grave ? "main grave" : "main";
    describePlace();
    const resumes = verb.name === "resume";
    show(byId("ask-choice-row"), resumes);
    show(byId("ask-once-row"), resumes && holdsOfPeople(status).some((h) => h.reason === "errors"));
    byId("ask-once").checked = false;
    if (resumes) {
        offerChoices();
    }
    show(byId("ask-typed-row"), verb.grave === true);
    setText(byId("ask-typed-label"), `To confirm, type the service's name: ${text(status.service)}`);
    byId("ask-typed").value = "";
    byId("ask-reason").value = "";
    byId("ask-reason").required = verb.grave === true;
    setText(byId("ask-reason-label"), verb.grave ? "Reason" : "Reason (may be left out)");
    byId("ask-actor").value = sessionStorage.getItem(NAME_KEY) ?? "";
    setBusy(false);
    byId("ask").showModal();
    byId(byId("ask-actor").value === "" ? "ask-actor" : "ask-reason").focus();
}

function setBusy(busy) {
    asked.sending = busy;
    byId("ask-send").disabled = busy;
    setText(byId("ask-cancel"), busy ? "Close" : "Cancel");
}

function close() {
    asked = null; // now: the event of closing comes later, when another may be open
    byId("ask").close();
}

function argumentsOf(verb) {
    if (verb.name !== "resume") {
        return {};
    }
    const reason = byId("ask-choice").value;
    const hold = holdsOfPeople(asked.status).find((each) => each.reason === reason);
    return {
        ...(hold === undefined ? {} : { hold: reason }),
        ...(hold !== undefined && reason === "operator" && typeof hold.by === "string"
            ? { of: hold.by } : {}),
        ...(byId("ask-once").checked ? { at_once: true } : {}),
    };
}

function bodyOf(verb) {
    const of = asked.status;
    const step = object(of.step).index;
    return {
        actor: byId("ask-actor").value.trim() || "dashboard",
        reason: byId("ask-reason").value.trim(),
        ...(!verb.atOnce && Number.isInteger(of.generation) ? { if_generation: of.generation } : {}),
        ...(verb.pinned && Number.isInteger(step) ? { if_step: step } : {}),
        arguments: argumentsOf(verb),
    };
}

// ---- what becomes of it ----

function say(sentence, bad) {
    show(byId("answer"), true);
    byId("answer").className = bad ? "answer bad" : "answer";
    setText(byId("answer"), sentence);
}

function names(of) {
    return list(of).map((each) => (typeof each === "string" ? each : text(object(each).name)));
}

function sentenceOf(verb, reply) {
    const silent = names(reply.silent);
    const lagging = names(reply.lagging);
    return [`${verb.name}: ${text(reply.message)}`,
            lagging.length > 0 ? `not yet in force on ${lagging.join(", ")}` : "",
            silent.length > 0 ? `silent: ${silent.join(", ")}` : ""]
        .filter((part) => part !== "").join("; ");
}

async function send(look) {
    const own = asked;
    const { verb } = own;
    sessionStorage.setItem(NAME_KEY, byId("ask-actor").value.trim());
    setText(byId("ask-problem"), "");
    setBusy(true);
    say(`${verb.name}: sent; waits until it is in force on every proxy`, false);
    let problem = null;
    try {
        say(sentenceOf(verb, await command(own.status.service, verb.name, bodyOf(verb))), false);
        if (asked === own) {
            close();
        }
    } catch (refusal) {
        if (!(refusal instanceof Refusal)) {
            throw refusal;
        }
        problem = refusal;
        say(`${verb.name} was refused: ${refusal.message}`, true);
    }
    await look();
    if (asked !== own) {
        return; // it is closed, or another one
    }
    setBusy(false);
    const moved = problem.exit === 4;
    setText(byId("ask-problem"),
            moved ? `${problem.message}. Look at what is shown now before you send it again.`
                : problem.message);
    if (moved) {
        own.status = status;
        describePlace();
    }
}

function submitted(event, look) {
    event.preventDefault();
    if (asked === null || asked.sending) {
        return;
    }
    if (asked.verb.grave && byId("ask-typed").value.trim() !== asked.status.service) {
        setText(byId("ask-problem"), `Type ${text(asked.status.service)} to confirm.`);
        byId("ask-typed").focus();
        return;
    }
    send(look);
}

// ---- the page's side ----

// look(): asks for the status anew and waits until it is shown.
export function beginVerbs(look) {
    buttons = VERBS.map((verb) => {
        const button = element("button", { type: "button", class: verb.grave ? "grave" : null },
                               `${verb.name}…`);
        button.addEventListener("click", () => open(verb));
        return button;
    });
    byId("verbs").replaceChildren(...buttons);
    byId("ask-form").addEventListener("submit", (event) => submitted(event, look));
    byId("ask-cancel").addEventListener("click", close);
    byId("ask").addEventListener("close", () => { // by Escape
        if (!byId("ask").open) {
            asked = null;
        }
    });
}

export function showVerbs(of) {
    if (status !== null && status.service !== of.service) {
        show(byId("answer"), false);
    }
    status = of;
    VERBS.forEach((verb, i) => show(buttons[i], mayBe(verb)));
    show(byId("verbs"), VERBS.some(mayBe));
}
