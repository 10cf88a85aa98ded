// What the official JavaScript SDK takes to send messages: a job as JSON on stdin, its figures as JSON on stdout.

import { readFileSync } from "node:fs";
import { performance } from "node:perf_hooks";
import ConnectyCube from "connectycube";

const job = JSON.parse(readFileSync(0, "utf8"));

ConnectyCube.init(
  { appId: job.app_id, authKey: "unused" },
  {
    // The stream's domain is the host of the URL.
    endpoints: { chat: job.host, chat_url: `ws://${job.host}:${job.port}/ws` },
    chat: { streamManagement: { enable: true }, reconnect: { enable: false } },
    debug: { mode: 0 },
  },
);

const { chat } = ConnectyCube;
await chat.connect({ userId: job.user_id, password: job.password });
// Its answer comes after <enabled/>: before that, messages are not counted.
await chat.ping();

const extension = job.params ?? undefined;
const done = new Promise((resolve, reject) => {
  let sent = 0;
  chat.onSentMessageCallback = (failed) => {
    if (failed) reject(new Error("a message was not acknowledged"));
    else if (++sent === job.messages) resolve();
  };
});
const cpu = process.cpuUsage();
const start = performance.now();
for (let number = 0; number < job.messages; number++) {
  chat.send(job.to_id, { type: "chat", body: `message ${number}`, extension });
}
await done;
const seconds = (performance.now() - start) / 1000;
const { user, system } = process.cpuUsage(cpu);

console.log(JSON.stringify({ messages: job.messages, seconds, cpu_seconds: (user + system) / 1e6 }));
await chat.disconnect();
