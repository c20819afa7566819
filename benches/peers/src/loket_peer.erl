%% A gen_server that echoes, one that forwards to it, and callers. The echo answers the caller straight.
-module(loket_peer).
-behaviour(gen_server).
-export([run/2, init/1, handle_call/3, handle_cast/2]).

init(To) -> {ok, To}.

handle_call({echo, Args}, _From, echo) -> {reply, binary:copy(Args), echo};
handle_call(Call, From, To) -> gen_server:cast(To, {Call, From}), {noreply, To}.

handle_cast({{echo, Args}, From}, echo) -> gen_server:reply(From, binary:copy(Args)), {noreply, echo}.

%% Nanoseconds a call, all callers together.
run(Callers, Ms) ->
    {ok, Echo} = gen_server:start(?MODULE, echo, []),
    {ok, Door} = gen_server:start(?MODULE, Echo, []),
    once(Door, Callers, Ms div 10 + 1),
    once(Door, Callers, Ms).

once(Door, Callers, Ms) ->
    Me = self(),
    Began = erlang:monotonic_time(nanosecond),
    Until = Began + Ms * 1000000,
    Args = binary:copy(<<"x">>, 64),
    [spawn_link(fun() -> Me ! {calls, caller(Door, Args, Until, 0)} end) || _ <- lists:seq(1, Callers)],
    Calls = lists:sum([receive {calls, N} -> N end || _ <- lists:seq(1, Callers)]),
    (erlang:monotonic_time(nanosecond) - Began) / Calls.

caller(Door, Args, Until, Calls) ->
    case erlang:monotonic_time(nanosecond) < Until of
        true -> batch(Door, Args, 64), caller(Door, Args, Until, Calls + 64);
        false -> Calls
    end.

batch(_, _, 0) -> ok;
batch(Door, Args, N) -> _ = gen_server:call(Door, {echo, Args}), batch(Door, Args, N - 1).
