"""The chat: messages, contacts, privacy lists and everything else over XMPP. Install `connectycube[chat]`.

from connectycube.chat import AsyncChat, Chat, MessageReceived

chat = AsyncChat(cube)
events = chat.events(MessageReceived)
async with chat:
    async for event in events:
        await chat.send(event.message.sender_id, event.message.body)

`Chat` is the same for blocking code.
"""

from connectycube._extras import missing_extra

try:
    from connectycube.stanzas import Attachment

    from ._bus import EventStream
    from .blocking import BlockingContacts, BlockingEventStream, BlockingPrivacy, Chat
    from .client import AsyncChat
    from .errors import (
        AuthenticationFailed,
        ChatError,
        ConnectError,
        MessageNotSent,
        MessageRefused,
        MessageTooLong,
        NotConnected,
        OutboxFull,
        RecipientBlocked,
        RequestRefused,
        RequestUnanswered,
        StanzaRefused,
        StreamConflict,
        StreamRefused,
        TlsRefused,
    )
    from .events import (
        CallSignalReceived,
        Connected,
        ConnectionFailed,
        ContactAccepted,
        ContactPresence,
        ContactRejected,
        ContactRequested,
        ContactsChanged,
        Disconnected,
        Event,
        HandlerFailed,
        LastActivityChanged,
        MessageBlocked,
        MessageDeleted,
        MessageDelivered,
        MessageEdited,
        MessageFailed,
        MessageRead,
        MessageReceived,
        MessageSent,
        MessageSentElsewhere,
        OccupantJoined,
        OccupantKicked,
        OccupantLeft,
        PrivacyListChanged,
        ReactionsChanged,
        Reconnected,
        Reconnecting,
        StanzaRejected,
        StreamFailed,
        SystemMessageReceived,
        TypingStarted,
        TypingStopped,
    )
    from .features.contacts import Contacts
    from .features.messages import attachments_of
    from .features.privacy import Privacy
    from .machines.connection import Backoff, Reason, State
    from .models import ChatMessage, ChatState, Contact, PrivacyRule, SendOptions, SentMessage, Subscription
except ModuleNotFoundError as error:
    raise missing_extra("chat", error) from error

__all__ = [
    "AsyncChat",
    "Attachment",
    "AuthenticationFailed",
    "Backoff",
    "BlockingContacts",
    "BlockingEventStream",
    "BlockingPrivacy",
    "CallSignalReceived",
    "Chat",
    "ChatError",
    "ChatMessage",
    "ChatState",
    "ConnectError",
    "Connected",
    "ConnectionFailed",
    "Contact",
    "ContactAccepted",
    "ContactPresence",
    "ContactRejected",
    "ContactRequested",
    "Contacts",
    "ContactsChanged",
    "Disconnected",
    "Event",
    "EventStream",
    "HandlerFailed",
    "LastActivityChanged",
    "MessageBlocked",
    "MessageDeleted",
    "MessageDelivered",
    "MessageEdited",
    "MessageFailed",
    "MessageNotSent",
    "MessageRead",
    "MessageReceived",
    "MessageRefused",
    "MessageSent",
    "MessageSentElsewhere",
    "MessageTooLong",
    "NotConnected",
    "OccupantJoined",
    "OccupantKicked",
    "OccupantLeft",
    "OutboxFull",
    "Privacy",
    "PrivacyListChanged",
    "PrivacyRule",
    "ReactionsChanged",
    "Reason",
    "RecipientBlocked",
    "Reconnected",
    "Reconnecting",
    "RequestRefused",
    "RequestUnanswered",
    "SendOptions",
    "SentMessage",
    "StanzaRefused",
    "StanzaRejected",
    "State",
    "StreamConflict",
    "StreamFailed",
    "StreamRefused",
    "Subscription",
    "SystemMessageReceived",
    "TlsRefused",
    "TypingStarted",
    "TypingStopped",
    "attachments_of",
]
