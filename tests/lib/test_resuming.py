"""Decision attacks that are interrupted and go on: equal to the bit, from files, and never from another request's state."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
from halfspaces import Noisy, generator, halfspace, problem
from safetensors.torch import load_file, save_file
from torch import Tensor

from lib.errors import BadValue
from lib.evasion import DECISION_ATTACKS, Decided

STEPS: dict[str, dict[str, Any]] = {
    "hop_skip_jump": {"iterations": 4, "initial_evaluations": 20},
    "boundary": {"iterations": 30, "trials": 60},
}
ATTACKS = pytest.mark.parametrize("name", list(DECISION_ATTACKS))
RANDOM = pytest.mark.parametrize("random", [False, True])


def victim_of(random: bool) -> Any:
    return halfspace(Noisy, 0.1) if random else halfspace()


def attack(name: str, victim: Any, **changes: Any) -> Decided:
    x, y = problem(5, victim)
    y[1] = 1 - y[1]  # adversarial already
    usual = {"generator": generator(), "lead": 3, "check_answers": 20, **STEPS[name]}
    return DECISION_ATTACKS[name](victim, x, y, **{**usual, **changes})


def states_of(name: str, random: bool) -> tuple[Decided, list[dict[str, Tensor]]]:
    states: list[dict[str, Tensor]] = []
    return attack(name, victim_of(random), callback=states.append), states


def equal(one: Decided, other: Decided) -> None:
    for field in fields(Decided):
        mine, theirs = getattr(one, field.name), getattr(other, field.name)
        assert torch.equal(mine, theirs) if isinstance(mine, Tensor) else mine == theirs, field.name


@ATTACKS
@RANDOM
def test_from_wherever_it_was_interrupted_it_ends_as_if_it_never_had_been(
    name: str, random: bool, tmp_path: Path
) -> None:
    """By way of a safetensors file, with a fresh victim and generators that have been elsewhere since."""
    whole, states = states_of(name, random)
    equal(attack(name, victim_of(random)), whole)  # being called back changes nothing
    assert len(states) >= 4
    for state in states:
        save_file(state, tmp_path / "state.safetensors")
        victim = victim_of(random)
        if random:
            victim.generator.manual_seed(99)
        again = attack(name, victim, state=load_file(tmp_path / "state.safetensors"))
        equal(again, whole)


@ATTACKS
def test_a_state_is_a_copy_and_may_be_used_twice(name: str) -> None:
    whole, states = states_of(name, True)
    for _ in range(2):
        equal(attack(name, victim_of(True), state=states[0]), whole)
    assert int(states[0]["answers"].sum()) < int(states[-1]["answers"].sum())


@ATTACKS
def test_more_iterations_go_on_where_fewer_ended(name: str) -> None:
    """An attack may be given more to do; what came before is not done again."""
    victim, states = victim_of(False), states_of(name, False)[1]
    more = attack(name, victim, state=states[-1], iterations=60)
    assert bool((more.answers >= states[-1]["answers"]).all()) and victim.shown == int(
        (more.answers - states[-1]["answers"]).sum()
    )


@ATTACKS
def test_another_requests_state_is_refused(name: str) -> None:
    state, others = (
        states_of(one, False)[1][0] for one in (name, next(other for other in DECISION_ATTACKS if other != name))
    )
    part = {key: value for key, value in state.items() if key != "found"}
    for wrong, changes, told in (
        (state, {"targeted": True}, "state: expected that of the same attack on the same images and labels"),
        (part, {}, "state: expected one that this attack has handed out, got one with or without found"),
        (others, {}, "state: expected one that this attack has handed out"),
    ):
        with pytest.raises(BadValue, match=told):
            attack(name, victim_of(False), state=wrong, **changes)


@ATTACKS
def test_what_came_of_it_can_be_saved_and_loaded(name: str, tmp_path: Path) -> None:
    """By `torch.save`, whose loader takes plain tensors only."""
    made = attack(name, victim_of(True))
    torch.save(vars(made), tmp_path / "made.pt")
    equal(Decided(**torch.load(tmp_path / "made.pt")), made)
