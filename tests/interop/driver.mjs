// Drives clients of the official JavaScript SDK. Commands come as lines of JSON on stdin; answers, and whatever the
// SDK's listeners are told, go out as lines of JSON on stdout. It decides nothing.

import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";

const SDK = new URL("node_modules/connectycube/dist/node/index.mjs", import.meta.url);
const LISTENERS = [
  "onChatStatusListener",
  "onConnectionErrorListener",
  "onDeliveredStatusListener",
  "onDisconnectedListener",
  "onJoinOccupant",
  "onKickOccupant",
  "onLastUserActivityListener",
  "onLeaveOccupant",
  "onMessageDeleteListener",
  "onMessageErrorListener",
  "onMessageListener",
  "onMessageReactionsListener",
  "onMessageTypingListener",
  "onMessageUpdateListener",
  "onReadStatusListener",
  "onReconnectListener",
  "onSentMessageCallback",
  "onSystemMessageListener",
];

const clients = new Map();
// What the SDK logs goes where it does not mix with the answers.
console.log = console.error;

// Elements of XML know their parents, which JSON can't show; errors hide what they say.
const plain = (key, value) => {
  if (typeof value?.getChild === "function") return String(value);
  return value instanceof Error ? { ...value, name: value.name, message: value.message } : value;
};
const say = (line) => {
  try {
    process.stdout.write(`${JSON.stringify(line, plain)}\n`);
  } catch (error) {
    say({ stray: error });
  }
};
const revive = (key, value) => (typeof value?.$file === "string" ? createReadStream(value.$file) : value);

// The object that has a path's last name, and what it has there; `exports` is the module.
const find = ({ module }, path) => {
  const names = path.split(".");
  const last = names.pop();
  const root = names[0] === "exports" ? module : module.default;
  const owner = (names[0] === "exports" ? names.slice(1) : names).reduce((found, name) => found[name], root);
  return [owner, owner[last]];
};

const commands = {
  async open({ client, credentials, options }) {
    const tell = (event) => (...args) => say({ client, event, args });
    // The query makes it a module of its own: clients share no settings, as if each ran in a process of its own.
    const opened = { module: await import(`${SDK.href}?client=${client}`) };
    const on = {
      sessionExpired: (giveUp, retry) => {
        Object.assign(opened, { giveUp, retry });
        tell("sessionExpired")();
      },
      xmppDataRead: (size, data) => tell("xmppDataRead")(data.body),
      xmppDataWrite: (size, data) => tell("xmppDataWrite")(data.body),
    };
    opened.module.default.init(credentials, { ...options, on });
    for (const name of LISTENERS) opened.module.default.chat[name] = tell(name);
    clients.set(client, opened);
  },
  call({ client, path, args }) {
    const [owner, method] = find(clients.get(client), path);
    return method.apply(owner, args);
  },
  get({ client, path }) {
    return find(clients.get(client), path)[1];
  },
  retry({ client, session }) {
    return clients.get(client).retry(session);
  },
  giveUp({ client }) {
    return clients.get(client).giveUp();
  },
  async close({ client }) {
    const { chat } = clients.get(client).module.default;
    clients.delete(client);
    await chat.disconnect();
  },
};

process.on("unhandledRejection", (error) => say({ stray: error }));

const lines = createInterface({ input: process.stdin });
lines.on("close", () => process.exit());
lines.on("line", async (line) => {
  const { id, command, ...rest } = JSON.parse(line, revive);
  try {
    say({ id, result: (await commands[command](rest)) ?? null });
  } catch (error) {
    say({ id, error: error ?? null });
  }
});
