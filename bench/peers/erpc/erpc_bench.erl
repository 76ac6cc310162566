%% Calls between two Erlang nodes with erpc. The first half speaks with the bench (orders on stdin, reports on stdout, as
%% in ../program.mjs); the second half takes the place of epmd, so that no daemon is started: the caller is told the port.
-module(erpc_bench).
-export([main/0, echo/1]).
-export([start_link/0, register_node/2, register_node/3, listen_port_please/2, port_please/2, port_please/3,
         address_please/3, names/1]).

main() ->
    spawn(fun orders/0).

orders() ->
    case io:get_line("") of
        eof -> halt(0);
        {error, _} -> halt(0);
        Line -> obey(text(Line, "do"), Line), orders()
    end.

obey("serve", _) ->
    report("{\"event\":\"ready\",\"addresses\":\"~s:~b\"}", [node(), persistent_term:get(own_port)]);
obey("connect", Line) ->
    [Node, Port] = string:split(text(Line, "addresses"), ":", trailing),
    persistent_term:put(callee_port, list_to_integer(Port)),
    persistent_term:put(callee, list_to_atom(Node)),
    case net_kernel:connect_node(list_to_atom(Node)) of
        true -> report("{\"event\":\"connected\"}", []);
        Other -> report("{\"event\":\"failed\",\"message\":\"connect: ~p\"}", [Other])
    end;
obey("calls", Line) ->
    Payload = payload(text(Line, "what")),
    Payload = erpc:call(persistent_term:get(callee), ?MODULE, echo, [Payload]),
    InFlight = number(Line, "inFlight"),
    _ = run(InFlight, Payload, number(Line, "warmupMs")),
    {Samples, Calls, Seconds} = run(InFlight, Payload, number(Line, "ms")),
    Sorted = list_to_tuple(lists:sort(Samples)),
    Format = "{\"event\":\"figures\",\"calls\":~b,\"errors\":0,\"seconds\":~f~s}",
    report(Format, [Calls, Seconds, quantiles(Sorted)]).

quantiles({}) -> "";
quantiles(Sorted) ->
    Micros = fun(Q) -> element(max(1, ceil(Q * size(Sorted))), Sorted) / 1000 end,
    io_lib:format(",\"p50\":~f,\"p99\":~f", [Micros(0.5), Micros(0.99)]).

payload("small") -> #{id => 1, name => <<"alice">>, tags => [<<"a">>, <<"b">>], n => 3.14};
payload("string") -> #{text => binary:copy(<<"x">>, 65536)};
payload("binary") -> binary:copy(<<7>>, 65536);
payload("bulk") -> binary:copy(<<7>>, 16777216 - 4096).

echo(Value) -> Value.

run(1, Payload, Ms) ->
    Start = now_ns(),
    Samples = sequential(persistent_term:get(callee), Payload, Start + Ms * 1000000, []),
    {Samples, length(Samples), (now_ns() - Start) / 1.0e9};
run(InFlight, Payload, Ms) ->
    Start = now_ns(),
    Callee = persistent_term:get(callee),
    Self = self(),
    Loop = fun() -> Self ! {done, parallel(Callee, Payload, Start + Ms * 1000000, 0)} end,
    [spawn(Loop) || _ <- lists:seq(1, InFlight)],
    Calls = lists:sum([receive {done, Count} -> Count end || _ <- lists:seq(1, InFlight)]),
    {[], Calls, (now_ns() - Start) / 1.0e9}.

sequential(Callee, Payload, EndAt, Samples) ->
    SentAt = now_ns(),
    _ = erpc:call(Callee, ?MODULE, echo, [Payload]),
    Now = now_ns(),
    if
        Now >= EndAt -> [Now - SentAt | Samples];
        true -> sequential(Callee, Payload, EndAt, [Now - SentAt | Samples])
    end.

parallel(Callee, Payload, EndAt, Calls) ->
    _ = erpc:call(Callee, ?MODULE, echo, [Payload]),
    case now_ns() >= EndAt of
        true -> Calls + 1;
        false -> parallel(Callee, Payload, EndAt, Calls + 1)
    end.

now_ns() -> erlang:monotonic_time(nanosecond).

report(Format, Values) -> io:format(Format ++ "~n", Values).

text(Line, Key) -> field(Line, "\"" ++ Key ++ "\":\"([^\"]*)\"").
number(Line, Key) -> list_to_integer(field(Line, "\"" ++ Key ++ "\":([0-9]+)")).

field(Line, Pattern) ->
    {match, [Value]} = re:run(Line, Pattern, [{capture, all_but_first, list}]),
    Value.

%% In place of epmd.

start_link() -> ignore.

register_node(Name, Port) -> register_node(Name, Port, inet).
register_node(_Name, Port, _Family) ->
    persistent_term:put(own_port, Port),
    {ok, rand:uniform(65535)}.

listen_port_please(_Name, _Host) -> {ok, 0}.

port_please(Name, Host) -> port_please(Name, Host, infinity).
port_please(_Name, _Host, _Timeout) ->
    case persistent_term:get(callee_port, none) of
        none -> noport;
        Port -> {port, Port, 5}
    end.

address_please(_Name, _Host, _Family) ->
    case persistent_term:get(callee_port, none) of
        none -> {error, noport};
        Port -> {ok, {127, 0, 0, 1}, Port, 5}
    end.

names(_Host) -> {error, address}.
