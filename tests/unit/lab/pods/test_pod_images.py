"""What a container of an image runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from kaas_lab.pods import images

KAAS = {"kaas": ["python", "-m", "kaas"], "busybox": []}


def container(image: str, **fields: list[str]) -> dict[str, object]:
    return {"name": "main", "image": image, **fields}


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("kaas", "kaas"),
        ("kaas:v1", "kaas"),
        ("registry.internal:5000/team/kaas", "kaas"),
        ("registry.internal:5000/team/kaas:v1@sha256:0123", "kaas"),
    ],
)
def test_the_name_of_an_image_is_the_last_part_of_its_path(reference: str, name: str) -> None:
    assert images.short_name(reference) == name


@pytest.mark.parametrize(
    ("fields", "argv"),
    [
        ({"args": ["load", "--job"]}, ("python", "-m", "kaas", "load", "--job")),
        ({"command": ["kaas", "load"], "args": ["--job"]}, ("python", "-m", "kaas", "load", "--job")),
        ({"command": ["/usr/bin/kaas", "load"]}, ("python", "-m", "kaas", "load")),
        ({"command": ["sh", "-c", "kaas load"]}, ("sh", "-c", "kaas load")),
    ],
)
def test_a_known_image_is_its_program(fields: dict[str, list[str]], argv: tuple[str, ...]) -> None:
    assert images.choose(KAAS, container("team/kaas:v1", **fields), {}).argv == argv


def test_a_shell_runs_what_the_container_says() -> None:
    chosen = images.choose(KAAS, container("busybox:1", command=["sh", "-c", "true"]), {})
    assert (chosen.argv, chosen.is_played) == (("sh", "-c", "true"), False)


def test_a_shell_without_a_command_has_nothing_to_run() -> None:
    with pytest.raises(ValueError, match="no command specified"):
        images.choose(KAAS, container("busybox"), {})


def test_an_unknown_image_sleeps_and_nothing_of_its_own_runs() -> None:
    chosen = images.choose(KAAS, container("pytorch", command=["rm", "-rf", "/"]), {})
    assert (chosen.argv, chosen.is_played) == (images.SLEEP, True)


def test_an_unknown_image_exits_as_its_pod_asks() -> None:
    chosen = images.choose(KAAS, container("pytorch"), {images.EXIT: "3"})
    assert chosen.argv == ("sh", "-c", "exit 3")


def test_the_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "pods/images.json"
    images.write(file, images.parse(["kaas=python -m kaas", "empty="]))
    assert images.read(file) == {
        "busybox": [],
        "alpine": [],
        "debian": [],
        **images.parse(["kaas=python -m kaas", "empty="]),
    }


def test_an_option_without_a_command_is_refused() -> None:
    with pytest.raises(ValueError, match="NAME=COMMAND"):
        images.parse(["kaas"])
