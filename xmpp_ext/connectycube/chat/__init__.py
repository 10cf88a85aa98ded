"""The chat: messages, contacts, privacy lists and all else that goes over XMPP. Install `connectycube[chat]`.

from connectycube.chat import AsyncChat
from connectycube.chat.events import MessageReceived

async with AsyncChat(cube) as chat:
    async for event in chat.events(MessageReceived):
        await chat.send(event.message.sender_id, event.message.body)
"""

from connectycube.stanzas import Attachment

from .client import AsyncChat
from .contacts import Contacts
from .errors import (
    AuthenticationFailed,
    ChatError,
    ConnectFailed,
    MessageNotSent,
    MessageRefused,
    NotConnected,
    RecipientBlocked,
    RequestRefused,
    RequestTimedOut,
    StreamConflict,
    StreamRefused,
    TlsRefused,
)
from .events import *  # noqa: F403
from .events import __all__ as _events
from .machines.connection import Backoff, Reason, State
from .models import ChatMessage, ChatState, Contact, PrivacyRule, SentMessage, Subscription
from .privacy import Privacy
