"""What the README shows works: its commands and options exist, its YAML is valid, its Python runs."""

import re
from pathlib import Path

import pytest
import typer

import unetsearch
from unetsearch import cli
from unetsearch.network.backbones import find_backbone
from unetsearch.space.document import parse_space
from unetsearch.space.starters import starters

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.S)


def test_every_command_and_option_exists():
    commands = typer.main.get_command(cli.app).commands
    shown = re.findall(r"(?m)^(?:    |\| `)unetsearch (\w+)([^|`#\n]*)", README)
    assert {name for name, _ in shown} == set(commands)
    for name, rest in shown:
        options = {option for parameter in commands[name].params for option in parameter.opts}
        assert set(re.findall(r"--\w+", rest)) <= options, name


@pytest.mark.parametrize("text", blocks("yaml"), ids=lambda text: text.split("\n")[0])
def test_its_yaml_is_valid(text):
    assert parse_space(text, "README.md", describe=find_backbone).size != 0


def test_its_make_targets_exist():
    targets = re.findall(r"(?m)^([\w-]+):", (Path(__file__).parents[1] / "Makefile").read_text())
    assert set(re.findall(r"`?make (\w+)", README)) <= set(targets)


@pytest.mark.slow
@pytest.mark.parametrize("text", blocks("python"))
def test_its_python_runs(text, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    short = "trials=1, overrides=('training.steps=8', 'training.evaluations=2')"
    assert "trials=4" in text
    exec(compile(text.replace("trials=4", short), "README.md", "exec"), {})
    assert capsys.readouterr().out.splitlines()[-1] == "512418", "U-Net++ of depth 2 with BatchNorm"
    assert Path("studies/mine/report.html").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("name", starters())
def test_every_shipped_space_runs(name, tmp_path):
    overrides = ("training.steps=4", "training.evaluations=2")
    study = unetsearch.run(name, out=tmp_path / "study", trials=2, overrides=overrides)
    assert sum(record.trained and not record.baseline for record in study.records) == 2
    assert (study.folder / "report.html").is_file()
