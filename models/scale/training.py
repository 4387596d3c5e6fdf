"""A training command on several processes: by torchrun, or by Ray Train.

Every worker runs the same command. Data are read and split by each alike, the loop of
``shared.finetuning`` shares the batches, and all but the first worker stop when the training is
over. A worker that dies ends the group; Ray starts it anew, and it goes on from the last checkpoint
below the home, which all workers must see.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import shutil
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from models.scale.cluster import ray_cluster
from shared.command_line import reports_errors
from shared.errors import SettingsError, TrainingError
from shared.finetuning.parallel import PartDone, current_ranks
from shared.settings import Settings

C = TypeVar("C", bound=Callable[..., Any])

ENTRY = "apps.cli:main"
"""The command that workers run, imported by them."""

FAILURES = 3
"""Groups that may break before a training is given up."""

ENGINE = click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="Where it runs: in this process (or torchrun's), or on Ray: triptych[scale].",
)
WORKERS = click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Processes that share the work, each on one processor or GPU.",
)


def on_engine(command: C) -> C:
    """A training command with ``--engine`` and ``--workers``, alike in every worker."""

    @wraps(command)
    def run(*given: Any, engine: str, workers: int, **options: Any) -> None:
        if workers > 1 and options.get("budget"):
            raise SettingsError("a budget is timed by each process: leave it out with --workers")
        if engine == "ray":
            context = click.get_current_context()
            on_ray(context, workers, resume=bool(options.get("resume")))
            return
        if int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")):
            options["resume"] = True
        with rank_group(workers):
            command(*given, **options)

    decorated: Any = ENGINE(WORKERS(reports_errors(run)))
    return cast(C, decorated)


@contextmanager
def rank_group(workers: int = 1) -> Iterator[None]:
    """The group of processes that torchrun has started, if it has; one process otherwise.

    SettingsError unless there are as many as ``workers`` asks for, where it asks for several: a
    launcher that starts one process only is found out.
    """
    launched = int(os.environ.get("WORLD_SIZE", "1"))
    here = launched > 1 and current_ranks().size == 1
    if here:
        import torch
        import torch.distributed as distributed

        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    size = current_ranks().size if launched > 1 or workers > 1 else 1
    if size != max(launched, workers):
        raise SettingsError(
            f"{max(launched, workers)} workers were asked for and {size} runs: start it by "
            f"`torchrun --nproc-per-node {workers} -m apps.cli ...`, or with --engine ray",
            size=size,
        )
    with suppress(PartDone):
        yield
    if here:
        # Ranks of gloo may abort while Python ends, with all work done and written.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def on_ray(context: click.Context, workers: int, *, resume: bool) -> None:
    """Run the command of ``context`` in as many workers, and print what the first one printed.

    A command that fails by a Triptych error ends this one alike. TrainingError after the group
    broke more often than ``FAILURES``.
    """
    settings = Settings()
    home = settings.home.resolve()
    if not resume and context.info_name:
        shutil.rmtree(settings.models / "checkpoints" / context.info_name, ignore_errors=True)
    result = home / "runs" / f"ray-{uuid.uuid4().hex}.json"
    result.parent.mkdir(parents=True, exist_ok=True)
    words = command_words(context, without=("engine", "workers", "resume"))
    with ray_cluster(workers):
        fit([*words, "--resume"], workers, home, result)
    if not result.is_file():
        raise TrainingError("the workers ended without a result: their lines above say why")
    told = json.loads(result.read_text(encoding="utf-8"))
    result.unlink()
    click.echo(told["output"], nl=False)
    if told["status"]:
        context.exit(told["status"])


def fit(words: Sequence[str], workers: int, home: Path, result: Path) -> None:
    """Ray Train's part: ``run_command`` in ``workers`` processes, again after a failure."""
    import ray
    from ray.train import FailureConfig, RunConfig, ScalingConfig, TrainingFailedError
    from ray.train.torch import TorchConfig, TorchTrainer

    gpus = ray.cluster_resources().get("GPU", 0) >= workers
    trainer = TorchTrainer(
        run_command,
        train_loop_config={"words": list(words), "workers": workers, "result": str(result)},
        torch_config=TorchConfig(backend="nccl" if gpus else "gloo"),
        scaling_config=ScalingConfig(num_workers=workers, use_gpu=gpus),
        run_config=RunConfig(
            name=result.stem,
            storage_path=str(home / "runs" / "ray"),
            failure_config=FailureConfig(max_failures=FAILURES),
        ),
    )
    try:
        trainer.fit()
    except TrainingFailedError as error:
        raise TrainingError(f"the training broke {FAILURES + 1} times: {error}") from error
    finally:
        shutil.rmtree(home / "runs" / "ray" / result.stem, ignore_errors=True)


def run_command(job: dict[str, Any]) -> None:
    """What every worker does: the whole command; the first writes its output to the result."""
    ranks = current_ranks()
    if ranks.size != job["workers"]:
        raise RuntimeError(f"{job['workers']} workers were asked for and {ranks.size} run")
    os.environ.pop("WORLD_SIZE", None)  # the group is there: nothing is to be joined again
    module, attribute = ENTRY.split(":")
    main = getattr(importlib.import_module(module), attribute)
    printed, status = io.StringIO(), 0
    try:
        with redirect_stdout(printed):
            main(job["words"], standalone_mode=False)
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
    if status and not ranks.first:
        raise RuntimeError(f"worker {ranks.rank} ended with status {status}")
    if ranks.first:
        path = Path(job["result"])
        beside = path.with_suffix(".part")
        told = {"status": status, "output": printed.getvalue()}
        beside.write_text(json.dumps(told), encoding="utf-8")
        beside.replace(path)


def command_words(context: click.Context, *, without: Sequence[str]) -> list[str]:
    """The command line of ``context`` again, from its values, but for some of its options."""
    words: list[str] = []
    above: click.Context | None = context
    while above is not None and above.parent is not None:
        words.insert(0, str(above.info_name))
        above = above.parent
    for parameter in context.command.params:
        value = context.params.get(str(parameter.name))
        if parameter.name in without or not isinstance(parameter, click.Option):
            continue
        if parameter.is_flag:
            names = parameter.opts if value else parameter.secondary_opts
            words += names[:1]
            continue
        given: Any = value if parameter.multiple else (value,)
        for one in given:
            if one is not None:
                words += [max(parameter.opts, key=len), str(one)]
    return words
