#!/usr/bin/env escript
%% Records runs of the real OTP supervisor, for supervision's example otp_replay to replay.
%%
%%   tests/otp/record.escript SEED COUNT [MOST_STEPS] > traces.jsonl
%%   cargo run -q -p loket-supervision --example otp_replay -- traces.jsonl
%%
%% Needs Erlang 25 or later (Debian: erlang-base). Scenarios are random, and the same for the same seed. Each is one JSON object
%% a line, in the format of supervision/tests/data: flags, children, preset starts, and steps with what was answered and seen.
%% A step is over when the supervisor has nothing left to do. Beside the steps of those traces there is `at_once:OP|OP...`: all
%% of them lie in the supervisor's mailbox before it sees the first. Instances under simple_one_for_one have names here; what OTP
%% leaves without an order (them, and in which order they end) is sorted. Start reading at scenario/2.
-mode(compile).
-export([init/1, start/1]).

-define(IDS, [a, b, c, d, e, f]).
-define(REASONS, [normal, shutdown, shutdown_term, abnormal, abnormal, killed]).
%% Longer than any run: restarts never leave the window.
-define(PERIOD_S, 3600).
-define(SHUTDOWN_MS, 1000).

main([Seed, Count]) -> main([Seed, Count, "14"]);
main([Seed, Count, Most]) ->
    logger:set_primary_config(level, none),
    process_flag(trap_exit, true),
    ets:new(starts, [named_table, public]),
    ets:new(names, [named_table, public]),
    register(notes, spawn_link(fun() -> notes([]) end)),
    [begin
         rand:seed(exsss, list_to_integer(Seed) * 1000003 + N),
         io:put_chars([json(scenario(N, list_to_integer(Most))), $\n])
     end || N <- lists:seq(1, list_to_integer(Count))],
    ok;
main(_) ->
    io:put_chars(standard_error, "usage: record.escript SEED COUNT [MOST_STEPS] > traces.jsonl\n"),
    halt(64).

%% --- a scenario

scenario(N, Most) ->
    Strategy = pick([one_for_one, one_for_all, rest_for_one, simple_one_for_one]),
    {Auto, Ids} = case Strategy of
        simple_one_for_one -> {simple, [template]};
        _ -> {pick([never, any_significant, all_significant]), lists:sublist(?IDS, 1 + rand:uniform(4))}
    end,
    Children = [spec(Id, Auto) || Id <- Ids],
    Flags = #{strategy => Strategy, intensity => rand:uniform(5) - 1, period => ?PERIOD_S, auto_shutdown => auto(Auto)},
    Preset = [{pick([fail, ignore, ignore]), Id, rand:uniform(2)} || Id <- ?IDS, Auto =/= simple, chance(8)],
    ets:delete_all_objects(starts),
    ets:delete_all_objects(names),
    ets:insert(starts, [{Id, What, Times} || {What, Id, Times} <- Preset]),
    {Result, Sup} = case supervisor:start_link(?MODULE, {Flags, Children}) of
        {ok, Pid} -> {"ok", Pid};
        {error, {shutdown, {failed_to_start_child, Id, _}}} ->
            receive {'EXIT', _, _} -> {["failed_to_start_child:", str(Id)], none} end
    end,
    Steps = steps(start_link, Result, Sup, Auto, rand:uniform(Most)),
    {[{n, N}, {strategy, maps:get(strategy, Flags)}, {intensity, maps:get(intensity, Flags)}, {auto_shutdown, auto(Auto)},
      {children, [{[{id, Id}, {restart, R}, {significant, S}]} || #{id := Id, restart := R, significant := S} <- Children]},
      {preset, [{[{what, What}, {id, Id}, {times, Times}]} || {What, Id, Times} <- Preset]},
      {steps, Steps}]}.

%% The step that was done, and all that follow.
steps(Op, Result, none, Auto, _) ->
    Seen = case Auto of simple -> lists:sort(seen()); _ -> seen() end,
    [{[{op, text(name(Op))}, {result, text(Result)}, {events, Seen}, {supervisor, dead}]}];
steps(Op, Result, Sup, Auto, Left) ->
    case at_rest(Sup) of
        {dead, Reason} -> steps(Op, [Result, " ; supervisor_exit:", word(Reason)], none, Auto, 0);
        Children ->
            Counts = supervisor:count_children(Sup),
            Step = {[{op, text(name(Op))}, {result, text(Result)}, {events, seen()},
                {which_children, [text([str(Id), ":", life(Pid)]) || {Id, Pid, _, _} <- Children]},
                {counts, [proplists:get_value(Key, Counts) || Key <- [specs, active, supervisors, workers]]}]},
            [Step | if
                Left > 0 ->
                    Next = operation(Auto, alive(Children)),
                    steps(Next, do(Next, Sup, Children), Sup, Auto, Left - 1);
                true ->
                    exit(Sup, shutdown),
                    {dead, Reason} = at_rest(Sup),
                    steps(shutdown, ["supervisor_exit:", word(Reason)], none, Auto, 0)
            end]
    end.

%% The supervisor's children once none is left to be restarted, or why it has ended.
at_rest(Sup) ->
    try supervisor:which_children(Sup) of
        [] -> [];
        Children ->
            case lists:keymember(restarting, 2, Children) of
                true -> at_rest(Sup);
                false when element(1, hd(Children)) =:= undefined ->
                    lists:sort([{ets:lookup_element(names, Pid, 2), Pid, Kind, Mods} || {_, Pid, Kind, Mods} <- Children]);
                false -> Children
            end
    catch exit:_ ->
        receive {'EXIT', Sup, Reason} -> {dead, Reason} end
    end.

%% --- operations

%% What is done next, and under simple_one_for_one only what means the same for names as for pids: a name that comes again is
%% another pid, and so an instance is started when none of its name lives, and at once only if nothing else befalls its name.
operation(simple, Alive) ->
    Free = ?IDS -- [Id || {Id, _} <- Alive],
    Few = fun(Ids) -> lists:sublist(shuffled(Ids), rand:uniform(3)) end,
    case rand:uniform(10) of
        N when N =< 5, Free =/= [] -> {start_child, spec(pick(Free), simple)};
        6 -> {pick([terminate_instance, restart_child, delete_child]), pick(?IDS)};
        7 -> crash_all_at_once;
        8 -> {at_once, [{exit, Id, pick(?REASONS)} || Id <- Few(?IDS -- Free)] ++ [{start_child, spec(Id, simple)} || Id <- Few(Free)]
            ++ [{fail_next_starts, Id, rand:uniform(3)} || Id <- Few(?IDS)]};
        N -> usual(N rem 2 + 4, pick(?IDS), simple)
    end;
operation(Auto, _) ->
    case rand:uniform(14) of
        12 -> crash_all_at_once;
        N when N > 12 -> {at_once, [usual(rand:uniform(11), pick(?IDS), Auto) || _ <- lists:seq(1, 1 + rand:uniform(4))]};
        N -> usual(N, pick(?IDS), Auto)
    end.

usual(N, Id, _) when N =< 4 -> {exit, Id, pick(?REASONS)};
usual(N, Id, _) when N =< 6 -> {fail_next_starts, Id, rand:uniform(3)};
usual(7, Id, _) -> {terminate_child, Id};
usual(8, Id, _) -> {restart_child, Id};
usual(9, Id, _) -> {delete_child, Id};
usual(_, Id, Auto) -> {start_child, spec(Id, Auto)}.

do({at_once, Ops}, Sup, Children) ->
    ok = sys:suspend(Sup),
    {Asked, _} = lists:mapfoldl(fun(Op, Alive) -> post(Op, Sup, Alive) end, alive(Children), Ops),
    sys:resume(Sup),
    lists:join("|", [answer(One) || One <- Asked]);
do(crash_all_at_once, Sup, Children) ->
    case lists:sort(alive(Children)) of
        [_, _ | _] = Alive ->
            ok = sys:suspend(Sup),
            [die(Sup, Pid, fun() -> exit(Pid, kill) end) || {_, Pid} <- Alive],
            sys:resume(Sup),
            "ok";
        _ -> "no_pid"
    end;
do(Op, Sup, Children) ->
    {Asked, _} = post(Op, Sup, alive(Children)),
    answer(Asked).

alive(Children) -> [{Id, Pid} || {Id, Pid, _, _} <- Children, is_pid(Pid)].

%% Puts what the operation means for the supervisor into its mailbox; says how to get the answer, and who is alive after.
post({exit, Id, Reason}, Sup, Alive) ->
    case lists:keytake(Id, 1, Alive) of
        {value, {_, Pid}, Rest} ->
            die(Sup, Pid, fun() -> Pid ! {quit, Reason} end),
            {{said, "ok"}, Rest};
        false -> {{said, "no_pid"}, Alive}
    end;
post({fail_next_starts, Id, Times}, _, Alive) ->
    ets:insert(starts, {Id, fail, Times}),
    {{said, "ok"}, Alive};
post({start_child, #{start := {_, _, []}, id := Id}}, Sup, Alive) ->
    {{asked, start_child, gen_server:send_request(Sup, {start_child, [Id]})}, Alive};
post({terminate_instance, Id}, Sup, Alive) ->
    %% The recorder itself is no instance.
    {{asked, terminate_child, gen_server:send_request(Sup, {terminate_child, proplists:get_value(Id, Alive, self())})}, Alive};
post(Call, Sup, Alive) ->
    {{asked, element(1, Call), gen_server:send_request(Sup, Call)}, Alive}.

%% The exit of a child is in the supervisor's mailbox when the link is gone.
die(Sup, Pid, Kill) ->
    Monitor = monitor(process, Pid),
    Kill(),
    receive {'DOWN', Monitor, _, _, _} -> unlinked(Sup, Pid) end.

unlinked(Sup, Pid) ->
    case process_info(Sup, links) of
        {links, Links} -> lists:member(Pid, Links) andalso begin erlang:yield(), unlinked(Sup, Pid) end;
        undefined -> ended
    end.

answer({said, Word}) -> Word;
answer({asked, What, Request}) ->
    case gen_server:wait_response(Request, infinity) of
        {reply, ok} -> "ok";
        {reply, {ok, undefined}} -> "ok:undefined";
        {reply, {ok, Pid}} when is_pid(Pid) -> "ok:pid";
        {reply, {error, {already_started, _}}} -> "error:already_started";
        {reply, {error, Word}} when is_atom(Word), Word =/= down -> ["error:", str(Word)];
        {reply, {error, _}} when What =:= start_child -> "error:start";
        {reply, {error, _}} -> "error:down";
        {error, _} -> "down"
    end.

%% --- the supervisor and its children

init({Flags, Children}) -> {ok, {Flags, Children}}.

spec(Id, Auto) ->
    Restart = pick([permanent, transient, temporary]),
    #{id => Id, start => {?MODULE, start, [Id || Auto =/= simple]}, restart => Restart,
      significant => auto(Auto) =/= never andalso Restart =/= permanent andalso chance(3), shutdown => ?SHUTDOWN_MS}.

auto(simple) -> never;
auto(Auto) -> Auto.

start(Id) -> proc_lib:start_link(erlang, apply, [fun child/1, [Id]]).

child(Id) ->
    process_flag(trap_exit, true),
    case ets:lookup(starts, Id) of
        [{_, What, Times}] when Times > 0 ->
            ets:insert(starts, {Id, What, Times - 1}),
            case What of
                fail -> note(["start_failed:", str(Id), ":error"]), proc_lib:init_ack({error, down});
                ignore -> note(["start_ignored:", str(Id), ":ignore"]), proc_lib:init_ack(ignore)
            end,
            exit(normal);
        _ ->
            note(["started:", str(Id)]),
            ets:insert(names, {self(), Id}),
            proc_lib:init_ack({ok, self()}),
            [Parent | _] = get('$ancestors'),
            receive
                {quit, Reason} -> note(["quit:", str(Id), ":", str(Reason)]), exit(term(Reason));
                {'EXIT', Parent, Reason} -> note(["stopped:", str(Id), ":", word(Reason)]), exit(Reason)
            end
    end.

term(shutdown_term) -> {shutdown, term};
term(Reason) -> Reason.

%% What the children say, in order.
notes(All) ->
    receive
        {note, From, Text} -> From ! noted, notes([Text | All]);
        {read, From} -> From ! {notes, lists:reverse(All)}, notes([])
    end.

note(Text) -> notes ! {note, self(), text(Text)}, receive noted -> ok end.

seen() -> notes ! {read, self()}, receive {notes, All} -> All end.

%% --- words

name({exit, Id, Reason}) -> join(exit, Id, Reason);
name({fail_next_starts, Id, Times}) -> join(fail_next_starts, Id, Times);
name({start_child, #{id := Id, restart := Restart, significant := true}}) -> [join(start_child, Id, Restart), ":significant"];
name({start_child, #{id := Id, restart := Restart}}) -> join(start_child, Id, Restart);
name({at_once, Ops}) -> ["at_once:" | lists:join("|", [name(Op) || Op <- Ops])];
name({terminate_instance, Id}) -> name({terminate_child, Id});
name({Call, Id}) -> [str(Call), ":", str(Id)];
name(Op) -> str(Op).

join(A, B, C) -> lists:join(":", [str(A), str(B), str(C)]).

life(Pid) when is_pid(Pid) -> "pid";
life(Other) -> str(Other).

word({shutdown, _}) -> "shutdown_term";
word(Reason) when is_atom(Reason) -> str(Reason).

str(Number) when is_integer(Number) -> integer_to_list(Number);
str(Atom) -> atom_to_list(Atom).

pick(All) -> lists:nth(rand:uniform(length(All)), All).
shuffled(All) -> [One || {_, One} <- lists:sort([{rand:uniform(), One} || One <- All])].
chance(In) -> rand:uniform(In) =:= 1.

text(Parts) -> iolist_to_binary(Parts).

%% A list of pairs in a tuple is an object, a list an array, a binary or atom a text; no text here needs escaping.
json({Pairs}) -> [${, lists:join($,, [[$", str(Key), $", $:, json(Value)] || {Key, Value} <- Pairs]), $}];
json(true) -> "true";
json(false) -> "false";
json(Number) when is_integer(Number) -> str(Number);
json(Atom) when is_atom(Atom) -> [$", str(Atom), $"];
json(Text) when is_binary(Text) -> [$", Text, $"];
json(List) -> [$[, lists:join($,, [json(One) || One <- List]), $]].
