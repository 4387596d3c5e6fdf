"""Two processes train like one: same weights on both, and those of one process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from models.scale.training import rank_group
from shared.errors import SettingsError
from shared.finetuning.checkpoint import load_checkpoint
from shared.finetuning.parallel import PartDone, Ranks, current_ranks
from tests.fakes.ranked_training import trained
from tests.fakes.tiny_encoders import tiny_encoder

pytestmark = pytest.mark.unit


def run_two(folder: Path, *words: str, resume: bool = False) -> list[int]:
    """Two ranks on loopback, as torchrun starts them; their exit statuses."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    shared = {
        "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
        "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1", **({"RESUME": "1"} if resume else {}),
    }  # fmt: skip
    command = [sys.executable, "-m", "tests.fakes.ranked_training", str(folder)]
    ranks = [
        subprocess.Popen([*command, *(words if rank == 0 else ())],
                         env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": "0"})
        for rank in range(2)
    ]  # fmt: skip
    try:
        return [process.wait(timeout=120) for process in ranks]
    finally:
        for process in ranks:
            process.kill()


def test_two_ranks_train_like_one_and_go_on_after_a_kill(tmp_path: Path) -> None:
    tiny_encoder(tmp_path / "encoder")
    alone = trained(tmp_path)
    assert (alone.argmax(1) == np.arange(45) % 3).mean() > 0.8, "it has learned something"

    killed, other = run_two(tmp_path, "20")
    assert killed == -signal.SIGKILL
    assert other != 0, "a rank that is left alone does not end as if all were well"
    left = load_checkpoint(tmp_path / "checkpoints")
    assert left is not None
    assert left.state["step"] >= 18

    assert run_two(tmp_path, resume=True) == [0, 0]
    first, second = (np.load(tmp_path / f"logits-{rank}-of-2.npy") for rank in (0, 1))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first, alone, atol=2e-4)
    assert load_checkpoint(tmp_path / "checkpoints") is None


def test_shares_of_a_batch_are_the_batch() -> None:
    rows = np.array([7, 3, 9, 1, 4])
    shares = [Ranks(rank, 3).share(rows).tolist() for rank in range(3)]
    assert shares == [[7, 1], [3, 4], [9]]
    assert Ranks(1, 2).share(rows[:1]).tolist() == []


def test_one_rank_changes_nothing() -> None:
    weight = torch.nn.Parameter(torch.ones(2))
    alone = Ranks()
    torch.manual_seed(5)
    state = torch.get_rng_state()
    alone.draw_for(1, 2)
    assert torch.equal(state, torch.get_rng_state())
    assert alone.sum_gradients([weight], 0.25) == 0.25
    assert weight.grad is None
    alone.agree(step=3)
    alone.leave_rest_to_first()
    assert current_ranks() == alone


def test_each_rank_draws_its_own_dropout_the_same_again() -> None:
    def drawn(rank: int, step: int) -> float:
        Ranks(rank, 2).draw_for(1, step)
        return float(torch.rand(1))

    assert drawn(0, 4) == drawn(0, 4)
    assert len({drawn(0, 4), drawn(1, 4), drawn(0, 5), drawn(1, 5)}) == 4


def test_other_ranks_leave_the_rest_to_the_first() -> None:
    with pytest.raises(PartDone):
        Ranks(1, 2).leave_rest_to_first()


def test_a_launcher_that_starts_one_process_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with pytest.raises(SettingsError, match="2 workers were asked for and 1 runs"), rank_group(2):
        pass
