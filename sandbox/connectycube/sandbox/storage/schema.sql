-- The sandbox's store. Times are Unix seconds; lists and maps are JSON.

CREATE TABLE users (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    object_id TEXT NOT NULL,
    login TEXT UNIQUE,
    email TEXT UNIQUE,
    -- What SCRAM needs (RFC 5802), which also serves to check a password.
    salt BLOB,
    salted_sha1 BLOB,
    salted_sha256 BLOB,
    full_name TEXT,
    phone TEXT,
    website TEXT,
    custom_data TEXT,
    timezone INTEGER,
    tags TEXT NOT NULL DEFAULT '[]',
    avatar TEXT,
    external_id TEXT,
    facebook_id TEXT,
    twitter_id TEXT,
    external_user_id INTEGER,
    blob_id INTEGER,
    -- Whom another service vouches for: provider and its token's fingerprint.
    provider TEXT,
    provider_key TEXT,
    is_guest INTEGER NOT NULL DEFAULT 0,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    last_request_at REAL,
    last_activity_at REAL
);
CREATE UNIQUE INDEX users_by_provider ON users (provider, provider_key) WHERE provider IS NOT NULL;

CREATE TABLE sessions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    token TEXT NOT NULL UNIQUE,
    user_id INTEGER REFERENCES users (id) ON DELETE CASCADE,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    last_call_at REAL NOT NULL
);
CREATE INDEX sessions_by_user ON sessions (user_id);

CREATE TABLE dialogs (
    id TEXT PRIMARY KEY,
    type INTEGER NOT NULL,
    user_id INTEGER NOT NULL,
    name TEXT,
    description TEXT,
    photo TEXT,
    extensions TEXT,
    allow_preview INTEGER,
    pinned TEXT NOT NULL DEFAULT '[]',
    -- The two users of a private dialog, lower id first.
    pair TEXT UNIQUE,
    is_muted INTEGER,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    last_message TEXT,
    last_message_id TEXT,
    last_message_user_id INTEGER,
    last_message_date_sent INTEGER
);

CREATE TABLE members (
    dialog_id TEXT NOT NULL REFERENCES dialogs (id) ON DELETE CASCADE,
    user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    joined_at REAL NOT NULL,
    PRIMARY KEY (dialog_id, user_id)
) WITHOUT ROWID;
CREATE INDEX members_by_user ON members (user_id);

CREATE TABLE admins (
    dialog_id TEXT NOT NULL REFERENCES dialogs (id) ON DELETE CASCADE,
    user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    PRIMARY KEY (dialog_id, user_id)
) WITHOUT ROWID;

-- A user's own view of a dialog, whether or not the user is still in it.
CREATE TABLE dialog_views (
    dialog_id TEXT NOT NULL REFERENCES dialogs (id) ON DELETE CASCADE,
    user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    deleted INTEGER NOT NULL DEFAULT 0,
    silent INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (dialog_id, user_id)
) WITHOUT ROWID;

CREATE TABLE messages (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    dialog_id TEXT NOT NULL REFERENCES dialogs (id) ON DELETE CASCADE,
    sender_id INTEGER NOT NULL,
    recipient_id INTEGER NOT NULL DEFAULT 0,
    body TEXT,
    date_sent INTEGER NOT NULL,
    attachments TEXT NOT NULL DEFAULT '[]',
    extra TEXT NOT NULL DEFAULT '{}',
    markable INTEGER NOT NULL DEFAULT 0,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    edited_at REAL
);
CREATE INDEX messages_by_dialog ON messages (dialog_id, date_sent, number);

CREATE TABLE marks (
    message_id TEXT NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    user_id INTEGER NOT NULL,
    delivered INTEGER NOT NULL DEFAULT 0,
    read INTEGER NOT NULL DEFAULT 0,
    deleted INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (message_id, user_id)
) WITHOUT ROWID;

CREATE TABLE reactions (
    message_id TEXT NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    user_id INTEGER NOT NULL,
    reaction TEXT NOT NULL,
    PRIMARY KEY (message_id, user_id, reaction)
) WITHOUT ROWID;

-- Stanzas that wait for a user to come online (XEP-0203).
CREATE TABLE offline_messages (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    stanza TEXT NOT NULL,
    stored_at REAL NOT NULL
);
CREATE INDEX offline_messages_by_user ON offline_messages (user_id, number);

-- The contact list of RFC 6121, with what is pending.
CREATE TABLE contacts (
    user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    contact_id INTEGER NOT NULL,
    name TEXT,
    subscription TEXT NOT NULL DEFAULT 'none' CHECK (subscription IN ('none', 'to', 'from', 'both')),
    ask INTEGER NOT NULL DEFAULT 0,
    -- The contact has asked for a subscription that is not answered yet.
    pending_in INTEGER NOT NULL DEFAULT 0,
    -- A subscription is granted before it is asked for (RFC 6121, 3.4).
    approved INTEGER NOT NULL DEFAULT 0,
    -- Whether it stands in the list; what is only pending does not (RFC 6121, 3.1.3).
    listed INTEGER NOT NULL DEFAULT 1,
    -- The request as it came, to be delivered again at each login.
    request TEXT,
    -- Names of groups that the user put the contact in.
    groups TEXT NOT NULL DEFAULT '[]',
    PRIMARY KEY (user_id, contact_id)
) WITHOUT ROWID;
CREATE TABLE contact_versions (
    user_id INTEGER PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    version INTEGER NOT NULL
);

-- XEP-0016.
CREATE TABLE privacy_lists (
    user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    items TEXT NOT NULL,
    is_default INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (user_id, name)
) WITHOUT ROWID;

CREATE TABLE files (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uid TEXT NOT NULL UNIQUE,
    user_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    content_type TEXT NOT NULL,
    public INTEGER NOT NULL DEFAULT 0,
    size INTEGER,
    content TEXT,
    stored_size INTEGER,
    etag TEXT,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    completed_at REAL,
    read_at REAL
);
CREATE INDEX files_content ON files (content);
CREATE TABLE file_chunks (
    content TEXT NOT NULL,
    number INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (content, number)
) WITHOUT ROWID;

CREATE TABLE subscriptions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    channel TEXT NOT NULL,
    environment TEXT NOT NULL,
    platform TEXT NOT NULL,
    udid TEXT NOT NULL,
    created_at REAL NOT NULL,
    UNIQUE (user_id, channel, udid)
);

CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id INTEGER,
    event TEXT NOT NULL,
    recipients TEXT NOT NULL,
    created_at REAL NOT NULL
);

CREATE TABLE address_book (
    user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    udid TEXT NOT NULL DEFAULT '',
    phone TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (user_id, udid, phone)
) WITHOUT ROWID;

CREATE TABLE records (
    id TEXT PRIMARY KEY,
    class_name TEXT NOT NULL,
    parent_id TEXT,
    user_id INTEGER NOT NULL,
    fields TEXT NOT NULL,
    permissions TEXT NOT NULL,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL
);
CREATE INDEX records_by_class ON records (class_name, id);
CREATE INDEX records_by_parent ON records (parent_id);

CREATE TABLE meetings (
    id TEXT PRIMARY KEY,
    host_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    start_date INTEGER NOT NULL,
    end_date INTEGER NOT NULL,
    attendees TEXT NOT NULL,
    record INTEGER,
    public INTEGER NOT NULL DEFAULT 0,
    scheduled INTEGER NOT NULL DEFAULT 0,
    notify INTEGER NOT NULL DEFAULT 0,
    notify_before TEXT,
    timezone TEXT,
    chat_dialog_id TEXT,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL
);

CREATE TABLE recordings (
    id TEXT PRIMARY KEY,
    meeting_id TEXT NOT NULL REFERENCES meetings (id) ON DELETE CASCADE,
    file_id INTEGER NOT NULL REFERENCES files (id) ON DELETE CASCADE,
    participants TEXT NOT NULL,
    duration REAL NOT NULL,
    created_at REAL NOT NULL
);

CREATE TABLE whiteboards (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    dialog_id TEXT NOT NULL REFERENCES dialogs (id) ON DELETE CASCADE,
    user_id INTEGER NOT NULL,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL
);

-- What clients must present, in one row.
CREATE TABLE keys (
    app_id INTEGER NOT NULL,
    auth_key TEXT NOT NULL,
    admin_key TEXT NOT NULL
);
