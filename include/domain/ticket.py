"""The life of a work order: states and transitions as data, and who may make each."""

from collections.abc import Mapping
from dataclasses import dataclass

from include.domain.errors import Refused
from include.domain.text.words import Words

UNFINISHED = ("waiting", "assigned", "in_progress", "paused")
FINISHED = ("closed", "cancelled", "expired")
STATES = (*UNFINISHED, *FINISHED)

LOOP, AGENT, LEAD, MANAGER = "loop", "agent", "lead", "manager"
_LOOP = frozenset({LOOP})
_LEADS = frozenset({LEAD})
_PEOPLE = frozenset({AGENT, LEAD})
_RELEASED = ("assigned", "in_progress", "paused")
_WORKED = ("in_progress", "paused")


@dataclass(frozen=True)
class Action:
    """One thing that may happen to a ticket: from which states to which, by whom; `to=None` keeps the state."""

    to: str | None
    since: frozenset[str]
    by: frozenset[str]
    told: Words


def _action(to: str | None, since: tuple[str, ...], by: frozenset[str], zh: str, en: str) -> Action:
    return Action(to, frozenset(since), by, Words(zh, en))


ACTIONS: Mapping[str, Action] = {
    "release": _action("assigned", ("waiting",), _LOOP, "下发", "released to the team"),
    "expire": _action("expired", ("waiting",), _LOOP, "过期", "expired unreleased"),
    "claim": _action(None, _RELEASED, _PEOPLE, "认领", "claimed"),
    "reassign": _action(None, _RELEASED, frozenset({LOOP, LEAD, MANAGER}), "转派", "reassigned"),
    "hand_back": _action(None, _RELEASED, _PEOPLE, "退回团队", "handed back to the team's queue"),
    "contact": _action("in_progress", _RELEASED, _PEOPLE, "登记联系", "contacted"),
    "survey": _action(None, _WORKED, _PEOPLE, "登记需求调查", "surveyed"),
    "check": _action(None, _WORKED, _PEOPLE, "勾选核对清单", "ticked on its checklist"),
    "plan": _action(None, _WORKED, _PEOPLE | {MANAGER}, "登记维系方案", "given a retention plan"),
    # an order comes back from the billing system days after the talk, often on a closed ticket
    "processing": _action(
        None, (*_WORKED, "closed"), _PEOPLE | {MANAGER, LOOP}, "登记办理结果", "told what became of its plan"
    ),
    "pause": _action("paused", ("in_progress",), _PEOPLE, "暂停", "paused until the promised call-back"),
    "resume": _action("in_progress", ("paused",), _PEOPLE | _LOOP, "恢复", "resumed"),
    # a change of the calendar moves a deadline
    "recompute": _action(None, _RELEASED, _LOOP, "重新计算期限", "given another deadline"),
    "close": _action("closed", _WORKED, _PEOPLE, "关闭", "closed"),
    "reopen": _action("in_progress", ("closed",), _LEADS, "重开", "reopened"),
    "cancel": _action("cancelled", UNFINISHED, frozenset({LOOP, LEAD}), "取消", "cancelled"),
    "recall": _action("cancelled", UNFINISHED, frozenset({LOOP, LEAD, MANAGER}), "撤回", "recalled"),
    "merge": _action("cancelled", UNFINISHED, _LEADS, "并入其他工单", "merged into another ticket"),
    "absorb": _action(None, UNFINISHED, _LEADS, "并入其他工单的内容", "given what another ticket holds"),
    "do_not_call": _action(
        "cancelled", UNFINISHED, _PEOPLE, "登记请勿来电", "ended because its customer refuses calls"
    ),
    "open_task": _action(
        None, (*_RELEASED, "closed"), _PEOPLE, "转办其他部门", "linked to a task of another unit"
    ),
    # what a unit owes outlives the ticket
    "finish_task": _action(
        None,
        (*_RELEASED, "closed", "cancelled"),
        _PEOPLE | _LOOP,
        "登记转办完成",
        "told that a task of it is done",
    ),
    # a paused ticket is resumed first: the promised call-back may not happen any more
    "freeze": _action(None, ("waiting", "assigned", "in_progress"), _LOOP, "冻结", "frozen"),
    "unfreeze": _action(None, ("waiting", "assigned", "in_progress"), _LOOP, "解冻", "unfrozen"),
}

#: What may still happen while a ticket is frozen: nothing that reaches the subscriber.
WHILE_FROZEN = frozenset(
    {"unfreeze", "expire", "reassign", "hand_back", "cancel", "recall", "merge", "absorb", "do_not_call"}
    | {"open_task", "finish_task"}
)
#: What an agent may do to a ticket nobody has without taking it.
_WITHOUT_TAKING = frozenset({"do_not_call"})
_FROZEN_FOR: Mapping[str, Words] = {
    "port_out_applied": Words(
        "用户已申请携号转网，此后任何人不得挽留施压或提供优惠",
        "the subscriber has applied to port out, and nobody may press or offer anything since",
    ),
}

#: What is only done where the customer may be contacted today. What already happened is recorded all the same.
ASKS_LIMITS = frozenset({"claim", "plan"})
_LIMITED_BY: Mapping[str, Words] = {
    "refused": Words("客户拒绝联系", "the customer refuses contact"),
    "red_list": Words("客户在红名单内", "the customer is on the red list"),
    "do_not_disturb": Words("客户已开启免打扰", "the customer asked not to be disturbed"),
    "contacted_elsewhere": Words("其他渠道正在联系该客户", "the customer is being contacted elsewhere"),
}

_OVER = Words(
    "工单已彻底结束，请查看该客户较新的工单。",
    "It is over for good; look for a newer ticket of the customer.",
)
_ADVICE: Mapping[str, Words] = {
    "waiting": Words("工单在工作日早晨下发，请等待。", "It is released on a working morning; wait for that."),
    "assigned": Words("请先登记一次联系。", "Record a contact first."),
    "in_progress": Words("工单正在处理，请继续。", "It is being worked: go on with it."),
    "paused": Words(
        "工单暂停至约定回访日，请先恢复。", "It rests until the promised call-back; resume it first."
    ),
    "closed": Words("请联系班组长重开。", "Ask the lead to reopen it."),
    "cancelled": _OVER,
    "expired": _OVER,
}


def next_state(state: str, action: str, by: str) -> str:
    """The state after `action` by a loop, agent, lead or manager; Refused, in a sentence, when it may not happen."""
    rule = ACTIONS[action]
    if by not in rule.by:
        raise Refused(
            "A ticket is {done} by {roles}, not by {role}. Ask one of them.",
            code="wrong_role", done=rule.told, roles=rule.by, role=by,
        )  # fmt: skip
    if state not in rule.since:
        raise Refused(
            "A ticket in state '{state}' cannot be {done}; it must be {states}. {advice}",
            code="wrong_state", state=state, done=rule.told, states=rule.since, advice=_ADVICE[state],
        )  # fmt: skip
    return rule.to or state


def is_taking(action: str, by: str) -> bool:
    """Whether doing this to a ticket nobody has takes it: claiming does, and nearly all an agent does."""
    return action == "claim" or (by == AGENT and action not in _WITHOUT_TAKING)


def refuse_frozen(action: str, because: str | None) -> None:
    """Refused, with why, when the ticket is frozen `because` of something and `action` would go on with it."""
    if because is None or action in WHILE_FROZEN:
        return
    raise Refused(
        "The ticket is frozen and cannot be {done}: {because}. "
        "It goes on by itself when the subscriber stays, and is cancelled when the subscriber leaves.",
        code="frozen", done=ACTIONS[action].told, because=_FROZEN_FOR.get(because, Words(because, because)),
    )  # fmt: skip


#: What is not done while outbound of the ticket is stopped. What already happened is recorded all the same.
ASKS_STOPS = frozenset({"claim"})


def refuse_stopped(is_stopped: bool) -> None:
    """Refused while somebody has stopped all outbound of the ticket's region, team or campaign, or of everything."""
    if is_stopped:
        raise Refused(
            "Outbound is stopped; the page says by whom and why. Call nobody until it is lifted; what was said "
            "already may be recorded.",
            code="outbound_stopped",
        )


def refuse_limited(action: str, kind: str | None) -> None:
    """Refused, with why, when a limit of contact of this kind stands and `action` would go on all the same."""
    if kind is None:
        return
    raise Refused(
        "A limit of contact stands today, the ticket cannot be {done}: {because}. "
        "Leave the customer in peace; what was said already may be recorded, and the ticket closed.",
        code="limited", done=ACTIONS[action].told, because=_LIMITED_BY.get(kind, Words(kind, kind)),
    )  # fmt: skip
