// What an application does over REST, with a client that another generator made from the bundled document. It prints
// what it found as JSON; the test compares that.

import * as api from "./client";
import { client } from "./client/client.gen";
import type { Dialog, User } from "./client";

const { API_URL, APP_ID, AUTH_KEY } = process.env as Record<string, string>;
let token = "";
client.setConfig({
  baseUrl: API_URL,
  throwOnError: true,
  auth: (scheme) => (scheme.name === "CB-AuthKey" ? AUTH_KEY : token),
});

// An entry of a list may have an envelope.
const user = (entry: User | { user: User }): User => ("user" in entry ? (entry.user as User) : entry);

async function main() {
  const signUp = async (login: string, full_name: string) =>
    (await api.usersCreate({ body: { user: { login, password: "correct-horse-9", full_name } }, throwOnError: true })).data
      .user!.id!;
  const mary = await signUp("mary", "Mary Smith");
  const ada = await signUp("ada", "Ada Jones");
  const { data: opened } = await api.sessionsCreate({
    body: { application_id: Number(APP_ID), auth_key: AUTH_KEY, user: { login: "mary", password: "correct-horse-9" } },
    throwOnError: true,
  });
  token = opened.session!.token!;

  const create = async (body: api.DialogsCreateData["body"]): Promise<Dialog> =>
    (await api.dialogsCreate({ body, throwOnError: true })).data;
  const extensions = { city: "Turin" };
  const group = await create({ type: 2, name: "Climbing", occupants_ids: [ada], extensions });
  const closed = await create({ type: 3, occupants_ids: [ada] });
  const list = async (query: api.DialogsListData["query"]) => {
    const { items } = (await api.dialogsList({ query, throwOnError: true })).data;
    return Array.isArray(items) ? items.map((dialog) => dialog._id).sort() : items?.count;
  };

  const say = async (message: string) =>
    (await api.messagesCreate({ body: { chat_dialog_id: group._id, message }, throwOnError: true })).data._id;
  const first = await say("hello");
  const second = await say("bye");
  const history = async (query: api.MessagesListData["query"]) => {
    const { items } = (await api.messagesList({ query, throwOnError: true })).data;
    return Array.isArray(items) ? items.map((message) => message.message) : items?.count;
  };

  const path = { class_name: "Movie" };
  const record = async (title: string, year: number) =>
    (await api.customObjectsCreate({ path, body: { title, year }, throwOnError: true })).data._id!;
  const old = await record("Night train", 1999);
  await record("Glass harbour", 2023);
  const titles = async (filters: NonNullable<api.CustomObjectsListData["query"]>["filters"]) => {
    const { items } = (await api.customObjectsList({ path, query: { filters }, throwOnError: true })).data;
    return Array.isArray(items) ? items.map((movie) => movie.title).sort() : items;
  };
  const recent = await titles({ "year[gte]": 2000 });
  const either = await titles({ "title[in]": "Night train,Glass harbour" });
  const equal = await titles({ year: 1999 });
  await api.customObjectsUpdate({ path: { ...path, object_id: old }, body: { year: 2001 }, throwOnError: true });
  const updated = await titles({ "year[gt]": 2000 });
  await api.customObjectsDelete({ path: { ...path, object_id: old }, throwOnError: true });
  const left = await titles({});

  const named = await api.usersListByFullName({ query: { full_name: "Ada Jones" }, throwOnError: true });
  const users = await api.usersList({ query: { "id[in][]": [mary, ada], limit: 100 }, throwOnError: true });
  const started = await api.usersList({ query: { full_name: { start_with: "Mary" } }, throwOnError: true });
  const refused = await api.dialogsUpdate({ path: { dialog_id: "0".repeat(24) }, body: { name: "x" }, throwOnError: false });

  console.log(
    JSON.stringify({
      session: opened.session!.user_id === mary,
      dialogs: {
        all: (await list({})) as string[],
        groups: await list({ type: 2 }),
        either: await list({ type: { in: "2,3" } }),
        city: await list({ extensions }),
        elsewhere: await list({ extensions_filters: { "extensions[city][in]": "Rome,Oslo" } }),
        none: await list({ type: { ne: 2, gt: 3 } }),
        count: await list({ count: 1, type: { in: "2,3" } }),
      },
      expected: { group: group._id, closed: closed._id },
      messages: {
        all: await history({ chat_dialog_id: group._id!, sort_asc: "date_sent" }),
        one: await history({ chat_dialog_id: group._id!, _id: second! }),
        other: await history({ chat_dialog_id: group._id!, _id: { nin: second! } }),
        first: first !== second,
      },
      records: { recent, either, equal, updated, left },
      users: {
        named: named.data.items!.map((entry) => user(entry).login),
        both: users.data.items!.map((entry) => entry.login).sort(),
        started: started.data.items!.map((entry) => entry.login),
      },
      refused: [refused.response?.status, "errors" in (refused.error as object)],
    }),
  );
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
