"""Training shadow models: halves, what is kept, what an interruption costs, and what they find out together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lib.data import Split
from lib.errors import BadValue
from lib.membership import Shadows, by_threshold, lira, log_odds, logits_of, rmia, train_shadows
from lib.membership import shadows as module
from lib.training import TrainingConfig
from lib.training.checkpoints import load_weights

CONFIG = TrainingConfig(epochs=2, batch_size=8, learning_rate=0.05, precision="float32", label_smoothing=0.0)


def pool(n: int = 24, *, seed: int = 0) -> Split:
    """Noise with labels of no meaning: what can be known of them can only be remembered."""
    source = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (n, 1, 6, 6), generator=source).to(torch.uint8)
    return Split(images, torch.randint(0, 3, (n,), generator=source))


def build(seed: int, *, width: int = 64) -> nn.Module:
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Flatten(), nn.Linear(36, width), nn.ReLU(), nn.Linear(width, 3))


def run(folder: Path, count: int = 4, **changes: Any) -> Shadows:
    settings = {"build": build, "points": pool(), "config": CONFIG, "seed": 0} | changes
    return train_shadows(
        settings.pop("build"), settings.pop("points"), count, settings.pop("config"), folder=folder, **settings
    )


def test_every_point_is_in_half_of_the_shadows_at_random(tmp_path: Path) -> None:
    found = run(tmp_path, 6)
    assert found.answers.shape == (6, 24, 3) and found.inside.shape == (6, 24) and found.inside.dtype == torch.bool
    assert found.inside.sum(0).tolist() == [3] * 24
    assert (
        len({tuple(row) for row in found.inside.T.tolist()}) > 8
        and len({tuple(row) for row in found.inside.tolist()}) == 6
    )
    again = run(tmp_path / "other", 6, seed=1)
    assert not torch.equal(again.inside, found.inside)


def test_each_is_trained_on_its_half_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Split] = []
    fit = module.fit
    monkeypatch.setattr(
        module, "fit", lambda network, split, *a, **k: seen.append(split) or fit(network, split, *a, **k)
    )
    found = run(tmp_path)
    for split, inside in zip(seen, found.inside, strict=True):
        assert torch.equal(split.images, pool().images[inside]) and torch.equal(split.labels, pool().labels[inside])


def test_what_is_kept_answers_again(tmp_path: Path) -> None:
    found = run(tmp_path)
    kept = sorted(tmp_path.glob("*.safetensors"))
    assert [path.name.split("-")[1] for path in kept] == ["0", "1", "2", "3"]
    for path, answers in zip(kept, found.answers, strict=True):
        network = build(9)
        notes = load_weights(network, path)
        torch.testing.assert_close(logits_of(network, pool()), answers)
        assert len(notes["losses"]) == 2 and notes["seconds"] >= 0


def test_an_interrupted_run_goes_on_from_the_finished_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = run(tmp_path / "whole")
    calls: list[int] = []
    fit = module.fit

    def interrupted(*args: Any, **settings: Any) -> Any:
        calls.append(settings["seed"])
        if len(calls) == 3:
            raise KeyboardInterrupt
        return fit(*args, **settings)

    monkeypatch.setattr(module, "fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut")
    assert len(list((tmp_path / "cut").glob("*.safetensors"))) == 2
    found = run(tmp_path / "cut")
    assert len(calls) == 5 and len(set(calls)) == 4  # the third a second time, and the fourth
    assert torch.equal(found.answers, expected.answers) and torch.equal(found.inside, expected.inside)
    monkeypatch.setattr(module, "fit", lambda *_, **__: pytest.fail("was trained again"))
    assert torch.equal(run(tmp_path / "cut").answers, expected.answers)


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"config": TrainingConfig(epochs=1, batch_size=8)},
        {"points": pool(seed=1)},
        {"build": lambda seed: build(seed, width=4)},
        {"build": lambda seed: build(seed + 1)},
    ],
    ids=["seed", "config", "points", "architecture", "weights"],
)
def test_of_other_settings_others_are_trained(tmp_path: Path, change: dict[str, Any]) -> None:
    first = run(tmp_path, 2)
    other = run(tmp_path, 2, **change)
    assert len(list(tmp_path.glob("*.safetensors"))) == 4 and not torch.equal(first.answers, other.answers)
    assert torch.equal(run(tmp_path, 2).answers, first.answers)


def test_a_damaged_shadow_is_refused(tmp_path: Path) -> None:
    run(tmp_path, 2)
    path = min(tmp_path.glob("*.safetensors"))
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(BadValue, match=r"^checkpoint .*: .*damaged"):
        run(tmp_path, 2)


def test_shadows_that_remember_give_their_members_away(tmp_path: Path) -> None:
    """One of them judged by the others: by LiRA and RMIA its members are found, by log-odds alone some."""
    points = pool(60)
    shadows = run(tmp_path, 8, points=points, config=TrainingConfig(epochs=20, batch_size=8, learning_rate=1e-2))
    scores, inside = shadows.log_odds(points.labels), shadows.inside
    assert torch.equal(scores[0], log_odds(shadows.answers[0], points.labels))
    member: Tensor = inside[0]
    for attack in (lira, rmia):
        for online in (True, False):
            options = {"variance": "global"} if attack is lira else {}
            found = attack(scores[1:], inside[1:], scores[0], online=online, **options)  # type: ignore[arg-type]
            assert by_threshold(found[member], found[~member]).auc > 0.9


def test_pairs_of_tensors_will_do(tmp_path: Path) -> None:
    split = pool()
    found = run(tmp_path, 2, points=(split.images.float() / 255, split.labels))
    torch.testing.assert_close(found.answers, run(tmp_path / "other", 2).answers, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"count": 3}, r"^count: expected an even number, for each point to be in half of them, got 3"),
        ({"count": 0}, r"^count: expected a whole number of at least 2, got 0"),
        ({"points": pool(1)}, r"^points: expected at least two, got 1"),
    ],
)
def test_what_makes_no_halves_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BadValue, match=message):
        run(tmp_path, **changes)
    assert not list(tmp_path.iterdir())
