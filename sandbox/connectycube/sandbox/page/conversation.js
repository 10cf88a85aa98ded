// Conversations, in which the developer writes as a user, and the dialog with what clients need to connect.
"use strict";

const pane = find("conversation");
const form = pane.querySelector("form");
let talking = null; // The id of the open dialog, "" for a message between two users, or null.

async function fetched(path, options) {
  const answer = await fetch(`/_sandbox/${path}`, options);
  const found = await answer.json();
  if (answer.ok) return found;
  const problems = Object.entries(found.errors).map(([name, texts]) => [name, ...texts].join(" "));
  throw new Error(problems.join("; ").replace(/^base /, ""));
}

// -- conversations

function talk(dialogId) {
  talking = dialogId;
  pane.hidden = dialogId === null;
  form.querySelector(".problem").textContent = "";
  pane.querySelector(".flow").replaceChildren();
  offer(form.elements.sender, []);
  for (const button of document.querySelectorAll(".entry-dialog")) {
    button.setAttribute("aria-pressed", button.dataset.dialog === dialogId);
  }
  if (dialogId === null) return;
  showConversation().catch(() => {});
  form.elements.message.focus({ preventScroll: true });
  // On a narrow screen, a conversation is as high as the screen, and below the list of dialogs.
  pane.scrollIntoView({ block: "nearest" });
}

// The program under development is online, so the developer writes to somebody who is, as somebody who is not.
function offer(select, ids, online = false) {
  const shown = ids.map((id) => `${id} ${nameOf(id)}`).join();
  if (select.dataset.shown === shown) return;
  select.dataset.shown = shown;
  const before = Number(select.value);
  select.replaceChildren(...ids.map((id) => new Option(nameOf(id), id)));
  const likely = ids.find((id) => Boolean(users.get(id)?.online) === online);
  select.value = ids.includes(before) ? before : (likely ?? ids[online ? ids.length - 1 : 0]);
}

async function showConversation() {
  const dialogId = talking;
  const dialog = dialogs.get(dialogId);
  if (dialogId === null) return;
  if (dialogId && !dialog) return talk(null);
  pane.querySelector("h3 b").textContent = dialog ? titleOf(dialog) : "New message";
  pane.querySelector(".kind").textContent = dialog ? dialog.type : "private";
  form.elements.recipient.parentElement.hidden = Boolean(dialog);
  const ids = dialog ? dialog.members : [...users.keys()];
  offer(form.elements.sender, ids);
  if (!dialog) offer(form.elements.recipient, ids, true);
  const messages = dialog ? await fetched(`messages?dialog_id=${encodeURIComponent(dialogId)}`) : [];
  if (dialogId !== talking) return;
  const flow = pane.querySelector(".flow");
  const follow = atEnd(flow);
  flow.replaceChildren(...messages.map(bubble));
  if (follow) flow.scrollTop = flow.scrollHeight;
}

function bubble(message) {
  const box = make("article", "bubble");
  box.dataset.sender = message.sender_id;
  const when = new Date(message.date_sent * 1000).toISOString().slice(11, 16);
  box.append(make("small", "", `${nameOf(message.sender_id)} · ${when}${message.edited ? " · edited" : ""}`));
  if (message.message) box.append(make("p", "", message.message));
  for (const name of message.attachments) box.append(make("p", "attached", name));
  box.classList.toggle("own", message.sender_id === Number(form.elements.sender.value));
  return box;
}

async function write() {
  const { sender, recipient, message } = form.elements;
  const to = talking ? { dialog_id: talking } : { recipient_id: Number(recipient.value) };
  const body = JSON.stringify({ ...to, sender_id: Number(sender.value), message: message.value });
  const headers = { "Content-Type": "application/json" };
  const sent = await fetched("messages", { method: "POST", headers, body });
  message.value = "";
  form.querySelector(".problem").textContent = "";
  const writer = sender.value;
  await refresh();
  if (talking === "") talk(sent.dialog_id);
  else await showConversation();
  sender.value = writer;
  pane.querySelector(".flow").scrollTop = pane.querySelector(".flow").scrollHeight;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!form.elements.message.value.trim()) return;
  write().catch((error) => {
    form.querySelector(".problem").textContent = error.message;
  });
});
form.elements.message.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    form.requestSubmit();
  }
});
form.elements.sender.addEventListener("change", ({ target }) => {
  for (const box of pane.querySelectorAll(".bubble")) box.classList.toggle("own", box.dataset.sender === target.value);
});
find("new").addEventListener("click", () => talk(""));
find("close").addEventListener("click", () => talk(null));

// -- what clients need

async function copy(button, source) {
  try {
    await navigator.clipboard.writeText(source.textContent);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  } catch {
    // Only secure pages may use the clipboard, and the page of another machine is not secure.
    getSelection().selectAllChildren(source);
  }
}

async function showConnection() {
  const box = find("connection");
  const found = await fetched("connection");
  const rows = found.rows.flatMap(({ label, value }) => {
    const text = make("code", "", value);
    const button = make("button", "copy", "Copy");
    button.type = "button";
    button.setAttribute("aria-label", `Copy ${label}`);
    button.addEventListener("click", () => copy(button, text));
    const row = make("dd");
    row.append(text, button);
    return [make("dt", "", label), row];
  });
  box.querySelector("dl").replaceChildren(...rows);
  box.querySelector("pre").textContent = found.exports;
  box.showModal();
}

find("connect").addEventListener("click", () => showConnection().catch((error) => alert(error.message)));
find("connection").querySelector("h3 button").addEventListener("click", (event) => {
  copy(event.target, find("connection").querySelector("pre"));
});
