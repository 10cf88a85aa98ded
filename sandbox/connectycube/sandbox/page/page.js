// The sandbox's page: users, dialogs, and one lane of the journal for each user that is chosen. conversation.js has more.
"use strict";

const MOST_CARDS = 500;
const ENTITIES = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };
const PIECE = /<(\/?)([\w:.-]+)((?:\s+[\w:.-]+=(?:"[^"]*"|'[^']*'))*)\s*(\/?)>|([^<]+)/g;
const ATTRIBUTE = /([\w:.-]+)=(?:"([^"]*)"|'([^']*)')/g;
const find = (id) => document.getElementById(id);
const entries = [];
const chosen = new Set();
const opened = new Set();
let users = new Map();
let dialogs = new Map();
let run = null;
let paused = false;
let from = 0;
let last = 0;
let stateTimer = null;

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function nameOf(id) {
  if (id === null) return "No user";
  const user = users.get(id);
  return user ? user.name : `User ${id}`;
}

// -- the side: users and dialogs

async function refresh() {
  stateTimer = null;
  const answer = await fetch("/_sandbox/state");
  if (!answer.ok) return;
  const state = await answer.json();
  // Another sandbox at the same address counts its entries anew.
  if (run !== null && run !== state.run) location.reload();
  run = state.run;
  const named = users.size + dialogs.size;
  users = new Map(state.users.map((user) => [user.id, user]));
  dialogs = new Map(state.dialogs.map((dialog) => [dialog.id, dialog]));
  find("app").textContent = `application ${state.app_id}`;
  find("user-count").textContent = state.users.length;
  find("dialog-count").textContent = state.dialogs.length;
  find("users").replaceChildren(...(state.users.length ? state.users.map(userEntry) : [nothing("No users yet")]));
  find("dialogs").replaceChildren(...(state.dialogs.length ? state.dialogs.map(dialogEntry) : [nothing("No dialogs yet")]));
  for (const lane of document.querySelectorAll(".lane")) lane.querySelector("h3 b").textContent = nameOf(idOf(lane));
  await showConversation();
  if (users.size + dialogs.size === named) return;
  for (const other of document.querySelectorAll(".other")) other.textContent = gist(other.entry).other;
}

function soon() {
  if (stateTimer === null) stateTimer = setTimeout(() => refresh().catch(() => {}), 250);
}

function nothing(text) {
  return make("li", "nothing", text);
}

function userEntry(user) {
  const entry = make("li");
  const button = make("button", "entry-user");
  button.type = "button";
  button.dataset.user = user.id;
  button.setAttribute("aria-pressed", chosen.has(user.id));
  const face = make("span", `face shade${user.id % 6}`, user.name.slice(0, 2).toUpperCase());
  const who = make("span", "who");
  who.append(make("b", "", user.name), make("small", "", `${user.id} · ${user.sessions} session${user.sessions === 1 ? "" : "s"}`));
  const dot = make("span", user.online ? "dot on" : "dot");
  dot.title = user.online ? "online" : "offline";
  button.append(face, who, dot);
  button.addEventListener("click", () => {
    if (!chosen.delete(user.id)) chosen.add(user.id);
    button.setAttribute("aria-pressed", chosen.has(user.id));
    render();
  });
  entry.append(button);
  return entry;
}

function titleOf(dialog) {
  return dialog.name || dialog.members.map(nameOf).join(", ");
}

function dialogEntry(dialog) {
  const entry = make("li");
  const button = make("button", "entry-dialog");
  button.type = "button";
  button.title = dialog.id;
  button.dataset.dialog = dialog.id;
  button.setAttribute("aria-pressed", talking === dialog.id);
  const line = make("span", "title");
  line.append(make("b", "", titleOf(dialog)), make("span", "kind", dialog.type));
  button.append(line, make("small", "", dialog.last_message || "no messages yet"));
  button.addEventListener("click", () => talk(talking === dialog.id ? null : dialog.id));
  entry.append(button);
  return entry;
}

// -- the lanes

function lanesWanted() {
  if (chosen.size) return [...chosen];
  const seen = [];
  for (let index = entries.length - 1; index >= 0 && seen.length < 3; index -= 1) {
    const id = entries[index].user_id;
    if (!seen.includes(id)) seen.push(id);
  }
  return seen.sort((one, other) => (one ?? Infinity) - (other ?? Infinity));
}

function fits(entry) {
  if (entry.number <= from) return false;
  if (!find(`show-${entry.kind}`).checked) return false;
  if (isCounting(entry) && !find("show-counting").checked) return false;
  const wanted = find("search").value.trim().toLowerCase();
  return !wanted || entry.searchable.includes(wanted);
}

function idOf(lane) {
  return lane.dataset.lane === "none" ? null : Number(lane.dataset.lane);
}

function render() {
  const places = new Map();
  for (const lane of document.querySelectorAll(".lane")) {
    const flow = lane.querySelector(".flow");
    if (!atEnd(flow)) places.set(lane.dataset.lane, flow.scrollTop);
  }
  const lanes = lanesWanted().map((id) => {
    const lane = make("section", "lane");
    lane.dataset.lane = id ?? "none";
    const shown = entries.filter((entry) => entry.user_id === id && fits(entry)).slice(-MOST_CARDS);
    const title = make("h3");
    title.append(make("b", "", nameOf(id)), make("small", "", `${shown.length} shown`));
    const flow = make("div", "flow");
    flow.append(...(shown.length ? shown.map(card) : [make("p", "nothing", "No matching entries")]));
    lane.append(title, flow);
    return lane;
  });
  find("lanes").replaceChildren(...(lanes.length ? lanes : [welcome()]));
  for (const lane of lanes) {
    const flow = lane.querySelector(".flow");
    flow.scrollTop = places.get(lane.dataset.lane) ?? flow.scrollHeight;
  }
}

function welcome() {
  const box = make("div", "welcome");
  box.append(
    make("span", "cube"),
    make("h3", "", "No traffic yet"),
    make("p", "", "Requests and stanzas appear here as they happen, in one lane per user. Point a client at"),
    make("code", "", location.origin),
  );
  return box;
}

function atEnd(flow) {
  return flow.scrollHeight - flow.scrollTop - flow.clientHeight < 60;
}

function add(entry) {
  const wanted = lanesWanted();
  const lanes = [...document.querySelectorAll(".lane")];
  const shown = lanes.map((lane) => lane.dataset.lane);
  if (wanted.map((id) => String(id ?? "none")).join() !== shown.join()) {
    render();
    return;
  }
  const lane = lanes[wanted.indexOf(entry.user_id)];
  if (!lane || !fits(entry)) return;
  const flow = lane.querySelector(".flow");
  const follow = atEnd(flow);
  flow.querySelector(".nothing")?.remove();
  flow.append(card(entry));
  while (flow.children.length > MOST_CARDS) flow.firstChild.remove();
  lane.querySelector("h3 small").textContent = `${flow.children.length} shown`;
  if (follow) flow.scrollTop = flow.scrollHeight;
}

function card(entry) {
  const rest = entry.kind === "rest";
  const details = make("details", `card ${entry.direction ?? entry.kind}`);
  const summary = make("summary");
  summary.append(make("time", "", (entry.time || "").slice(11, 19)));
  if (rest) {
    if (entry.status >= 400) details.classList.add("failed");
    summary.append(make("span", "tag", entry.method), make("span", "what", entry.path));
    if (entry.fault) summary.append(make("span", "fault", entry.fault));
    if (entry.example) summary.append(make("span", "fault", "example"));
    summary.append(make("span", "took", `${entry.milliseconds} ms`), make("span", "status", entry.status));
  } else if (entry.kind === "outgoing") {
    if (entry.error || entry.status >= 400) details.classList.add("failed");
    summary.append(make("span", "tag", entry.medium), make("span", "what", entry.content?.message ?? entry.to));
    summary.append(make("span", "status", entry.error ? "failed" : (entry.status ?? "")));
  } else {
    const arrow = make("span", "tag", entry.direction === "in" ? "▲" : "▼");
    arrow.title = entry.direction === "in" ? "from the client" : "to the client";
    const { name, text, other } = gist(entry);
    const what = make("span", "what", text);
    if (name) what.prepend(make("b", "", name), " ");
    summary.append(arrow, what);
    const peer = make("span", "other", other);
    peer.entry = entry;
    summary.append(peer);
  }
  details.append(summary);
  const open = () => {
    if (details.children.length === 1) details.append(inside(entry));
  };
  if (opened.has(entry.number)) {
    details.open = true;
    open();
  }
  details.addEventListener("toggle", () => {
    if (details.open) {
      open();
      if (!opened.has(entry.number)) details.scrollIntoView({ block: "nearest" });
      opened.add(entry.number);
    } else {
      opened.delete(entry.number);
    }
  });
  return details;
}

// -- what a stanza is about, in few words

function isCounting(entry) {
  return entry.kind === "stanza" && /^<[ra] xmlns="urn:xmpp:sm:/.test(entry.xml);
}

// Not by DOMParser: what is read here may be hostile, or end in the middle.
function outline(xml) {
  const plain = (text) => text.replace(/&(lt|gt|quot|apos|amp);/g, (_, name) => ENTITIES[name]);
  const path = [];
  let root = null;
  for (const [, closing, name, attributes, empty, text] of xml.matchAll(PIECE)) {
    const inside = path[path.length - 1];
    if (text !== undefined) {
      if (inside) inside.text += plain(text);
    } else if (closing) {
      path.pop();
    } else {
      const node = { name, attributes: {}, children: [], text: "" };
      for (const [, key, one, other] of attributes.matchAll(ATTRIBUTE)) node.attributes[key] = plain(one ?? other);
      root ??= node;
      inside?.children.push(node);
      if (!empty) path.push(node);
    }
  }
  return root;
}

function gist({ xml, direction }) {
  const root = /^<(\?|\/|stream:stream\b)/.test(xml) ? null : outline(xml);
  if (!root) return { name: "", text: xml, other: "" };
  const parts = root.children;
  const body = parts.find((part) => part.name === "body");
  const error = parts.find((part) => part.name === "error");
  let text = parts.filter((part) => !["extraParams", "x"].includes(part.name)).map((part) => part.name).join(", ");
  if (error?.children.length) text = error.children[0].name;
  else if (body?.text) text = `“${body.text}”`;
  else if (root.name === "iq" && parts.length) text = `${parts[0].name} ${parts[0].attributes.xmlns ?? ""}`;
  else if (!parts.length) text = root.text || root.attributes.h || "";
  const { type } = root.attributes;
  const side = direction === "in" ? "to" : "from";
  const name = root.name === "message" ? (type ?? root.name) : type ? `${root.name} ${type}` : root.name;
  return { name, text, other: peer(root.attributes[side], side) };
}

function numberOf(jid) {
  return Number(/^(\d+)-/.exec(jid || "")?.[1] ?? NaN);
}

function peer(jid, side) {
  const room = /^\d+_([0-9a-f]+)@[^/]*(?:\/(\d+))?/.exec(jid || "");
  if (room) {
    const dialog = dialogs.get(room[1]);
    const where = dialog ? titleOf(dialog) : "a room";
    return side === "from" && room[2] ? `${nameOf(Number(room[2]))} in ${where}` : where;
  }
  const id = numberOf(jid);
  return Number.isNaN(id) ? "" : nameOf(id);
}

function inside(entry) {
  const box = make("div", "inside");
  const part = (title, text) => {
    if (text) box.append(make("h4", "", title), make("pre", "", text));
  };
  if (entry.kind === "rest") {
    part("Operation", entry.operation);
    part("Query", entry.query.map(([name, value]) => `${name} = ${value}`).join("\n"));
    part("Request headers", lines(entry.request_headers));
    part("Request", pretty(entry.request_body));
    part("Response headers", lines(entry.response_headers));
    part("Response", pretty(entry.response_body));
  } else if (entry.kind === "outgoing") {
    part("To", entry.to);
    part("Content", pretty(entry.content));
    part("Failure", entry.error);
  } else {
    part(entry.resource ? `Resource ${entry.resource}` : "Stanza", indented(entry.xml));
  }
  return box;
}

function lines(headers) {
  return Object.entries(headers).map(([name, value]) => `${name}: ${value}`).join("\n");
}

function pretty(value) {
  if (value === null || value === undefined) return "";
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}

function indented(xml) {
  let depth = 0;
  return xml.replace(/></g, ">\n<").split("\n").map((line) => {
    if (/^<\//.test(line)) depth = Math.max(0, depth - 1);
    const shown = "  ".repeat(depth) + line;
    if (/^<[^/?!][^>]*[^/]>$/.test(line) && !/<\/[^>]+>$/.test(line)) depth += 1;
    return shown;
  }).join("\n");
}

// -- what comes in

function keep(entry) {
  if (entry.number <= last) return false;
  last = entry.number;
  entry.searchable = JSON.stringify(entry).toLowerCase();
  entries.push(entry);
  if (entries.length > 10000) entries.shift();
  return true;
}

function take(entry) {
  if (!keep(entry)) return;
  soon();
  if (!paused) add(entry);
}

function forget(number) {
  const kept = entries.filter((entry) => entry.number > number);
  entries.splice(0, entries.length, ...kept);
  last = Math.max(last, number);
  opened.clear();
  chosen.clear();
  soon();
  if (!paused) render();
}

async function start() {
  render();
  const [answer] = await Promise.all([fetch("/_sandbox/journal"), refresh()]);
  (await answer.json()).forEach(keep);
  render();
}

function listen() {
  const source = new EventSource(`/_sandbox/events?after=${last}`);
  const link = find("link");
  source.addEventListener("open", () => {
    link.textContent = "live";
    link.className = "link up";
    soon();
  });
  source.addEventListener("error", () => {
    link.textContent = "reconnecting";
    link.className = "link";
  });
  source.addEventListener("message", (event) => take(JSON.parse(event.data)));
  source.addEventListener("cleared", (event) => forget(Number(event.data)));
}

find("search").addEventListener("input", render);
find("show-rest").addEventListener("change", render);
find("show-stanza").addEventListener("change", render);
find("show-outgoing").addEventListener("change", render);
find("show-counting").addEventListener("change", render);
find("pause").addEventListener("click", () => {
  paused = !paused;
  find("pause").setAttribute("aria-pressed", paused);
  if (!paused) render();
});
find("clear").addEventListener("click", () => {
  from = last;
  render();
});

// The other script has been run by then.
addEventListener("DOMContentLoaded", () => start().catch(() => {}).finally(listen));
