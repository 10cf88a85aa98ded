"""R-060 to R-063."""

from __future__ import annotations

from typing import Any

from .. import wire
from ..call import Call, Routes

routes = Routes()


@routes.plays("push_subscriptions_create")
def subscribe(call: Call) -> Any:
    return [{"subscription": wire.subscription(call.core.push.subscribe(call.user_id, call.body))}]


@routes.plays("push_subscriptions_list")
def subscriptions(call: Call) -> Any:
    return [{"subscription": wire.subscription(one)} for one in call.core.push.subscriptions(call.user_id)]


@routes.plays("push_subscriptions_delete")
def unsubscribe(call: Call) -> None:
    call.core.push.unsubscribe(call.user_id, int(call.path["subscription_id"]))


@routes.plays("push_events_create")
def send(call: Call) -> Any:
    return [{"event": one} for one in call.core.push.send(call.user_id, call.body)]
