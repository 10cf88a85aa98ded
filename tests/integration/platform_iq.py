"""An Erlang module with which ejabberd answers the two requests of the platform (K-51, K-52), and notes them."""

from __future__ import annotations

from tests.integration.server import HOST, User

MODULE = """
    -module(platform_iq).
    -export([decode_iq_subel/1, process/1]).
    decode_iq_subel(Element) -> Element.
    process(IQ) ->
        [Element] = element(7, IQ),
        ets:insert(platform_iq, {erlang:unique_integer([monotonic]), jid:encode(element(5, IQ)),
            fxml:element_to_binary(Element)}),
        xmpp:make_iq_result(IQ).
"""

NAMESPACES = ("http://tigase.org/protocol/mobile#v2", "https://connectycube.com/protocol/status_streaming")


def binary(text: str) -> str:
    """A text as an Erlang binary, whatever is in it."""
    return f"<<{','.join(map(str, text.encode()))}>>"


LOAD = f"""
    (fun() ->
        {{ok, Tokens, _}} = erl_scan:string(binary_to_list({binary(MODULE)})),
        Split = fun
            Next([], [], Forms) -> lists:reverse(Forms);
            Next([Dot = {{dot, _}} | More], Form, Forms) -> Next(More, [], [lists:reverse([Dot | Form]) | Forms]);
            Next([Token | More], Form, Forms) -> Next(More, [Token | Form], Forms)
        end,
        Forms = [element(2, {{ok, _}} = erl_parse:parse_form(Form)) || Form <- Split(Tokens, [], [])],
        {{ok, Name, Code}} = compile:forms(Forms),
        {{module, Name}} = code:load_binary(Name, "platform_iq", Code),
        catch ets:new(platform_iq, [named_table, public, ordered_set]),
        [gen_iq_handler:add_iq_handler(ejabberd_sm, {binary(HOST)}, Space, Name, process)
            || Space <- [{", ".join(map(binary, NAMESPACES))}]]
    end)()
"""


def asked(user: User) -> str:
    """Gives the requests of a user, a line each."""
    return (
        f"iolist_to_binary(lists:join(<<10>>, [Xml || {{_, Jid, Xml}} <- ets:tab2list(platform_iq),"
        f" binary:match(Jid, {binary(user.jid)}) =/= nomatch]))"
    )
