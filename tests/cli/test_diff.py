"""`netspec diff` as people call it: files, nets, revisions, formats, exit status."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from netspec.cli import revision
from netspec.diagnostics.model import Refusal
from tests.cli.conftest import GOOD, Command

NETS = """\
net one {
  input x: [N, 4]
  output y = x -> linear(4) as head
}
net two {
  input x: [N, 4]
  output y = x -> relu
}
"""
BLOCKS = "block unit(c) {\n  input x\n  output x -> linear(c) -> relu\n}\n"
USES = 'from "../parts/blocks.net" import unit\nnet main {\n  input x: [N, 4]\n  output y = x -> unit(4) -> unit(8)\n}\n'


def git(*arguments: str) -> None:
    who = ["-c", "user.name=n", "-c", "user.email=n@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *arguments], check=True, capture_output=True)


@pytest.fixture
def repository(netspec: Command, tmp_path: Path) -> Path:
    """A repository of two commits, of which the second widens a kernel's import; the working tree is broken."""
    if shutil.which("git") is None:
        pytest.skip("there is no git")
    (tmp_path / "parts").mkdir()
    (tmp_path / "nets").mkdir()
    (tmp_path / "parts/blocks.net").write_text(BLOCKS)
    (tmp_path / "nets/main.net").write_text(USES)
    (tmp_path / "nets/link.net").symlink_to("main.net")
    git("init", "-q", ".")
    git("add", "-A")
    git("commit", "-qm", "one")
    (tmp_path / "parts/blocks.net").write_text(BLOCKS.replace("linear(c)", "linear(2 * c)"))
    git("commit", "-qam", "two")
    (tmp_path / "parts/blocks.net").write_text("broken {")
    return tmp_path


# --------------------------------------------------------------------------------------------------------- files and nets
def test_text_and_status(netspec: Command, good: str) -> None:
    Path("wider.net").write_text(GOOD.replace("conv(8, 3)", "conv(16, 3)"))
    done = netspec("diff", good, "wider.net")
    assert done.status == 0 and done.err == "" and "~ conv1" in done.out and "channels: 8 -> 16" in done.out
    assert "\x1b" not in done.out and not any(line != line.rstrip() for line in done.out.splitlines())
    assert netspec("diff", good, "wider.net", "--exit-code").status == 1
    same = netspec("diff", good, good, "--exit-code")
    assert (same.status, same.out) == (0, "good.net:good and good.net:good: the same network\n")


def test_comments_and_formatting(netspec: Command, good: str) -> None:
    Path("other.net").write_text("# a remark\n" + GOOD.replace(" -> ", "\n  ->   "))
    assert netspec("diff", good, "other.net", "--exit-code").status == 0


def test_json(netspec: Command, good: str) -> None:
    Path("wider.net").write_text(GOOD.replace("conv(8, 3)", "conv(16, 3)"))
    done = netspec("diff", good, "wider.net", "--format", "json")
    assert list(done.data) == ["from", "to", "same", "added", "removed", "nets"] and done.data["same"] is False
    (net,) = done.data["nets"]
    parts = ["from", "to", "same", "parameters", "sizes", "ports", "layers", "blocks", "consequences", "checkpoint", "training", "weights"]
    assert list(net) == parts
    assert net["layers"]["changed"][0] == {
        "label": "conv1", "new_label": "conv1", "kind": "conv",
        "changes": [
            {"kind": "argument", "what": "channels", "from": "8", "to": "16"},
            {"kind": "weight", "what": "weight", "from": "[8, 3, 3, 3]", "to": "[16, 3, 3, 3]"},
            {"kind": "weight", "what": "bias", "from": "[8]", "to": "[16]"},
            {"kind": "output", "what": "output", "from": "[N, 8, H - 2, W - 2]", "to": "[N, 16, H - 2, W - 2]"},
        ],
    }  # fmt: skip
    assert {"what": "parameters", "of": "", "from": 314, "to": 618} in net["consequences"]
    assert net["checkpoint"]["fits"] == {"count": 1, "bytes": 40}
    assert net["checkpoint"]["reshaped"][0] == {"name": "conv1.weight", "from": "[8, 3, 3, 3]", "to": "[16, 3, 3, 3]"}
    assert done.out == json.dumps(done.data, indent=2) + "\n"


def test_files_of_several_nets(netspec: Command) -> None:
    Path("a.net").write_text(NETS)
    Path("b.net").write_text(NETS.replace("net two", "net three").replace("linear(4)", "linear(5)"))
    done = netspec("diff", "a.net", "b.net")
    assert "a.net:one" in done.out and "features: 4 -> 5" in done.out
    assert done.out.endswith("- net two: only in the first\n+ net three: only in the second\n")
    data = netspec("diff", "a.net", "b.net", "--format", "json").data
    assert (data["added"], data["removed"], len(data["nets"])) == (["three"], ["two"], 1)
    assert "the same network" in netspec("diff", "a.net:two", "b.net:three").out
    assert netspec("diff", "a.net:one", "b.net").out.startswith("- a.net:one\n+ b.net:one\n")
    done = netspec("diff", "a.net:two", "b.net")
    assert done.status == 1 and "NS012" in done.err
    assert "NS010" in netspec("diff", "a.net:none", "b.net").err


def test_nets_of_other_names(netspec: Command, good: str) -> None:
    Path("other.net").write_text(GOOD.replace("net good", "net better"))
    done = netspec("diff", good, "other.net", "--exit-code")
    assert (done.status, done.out) == (0, "good.net:good and other.net:better: the same network\n")


def test_parameters_sizes_and_standard_input(netspec: Command, good: str) -> None:
    done = netspec("diff", good, "-", "-p", "classes=7", "--size", "H=64", stdin=GOOD)
    assert done.out == "good.net:good and <stdin>:good: the same network\n"
    assert netspec("diff", "-", "-", stdin=GOOD).status == 2
    assert "NS013" in netspec("diff", good, good, "-p", "clases=7").err


def test_what_is_wrong_with_a_spec(netspec: Command, good: str, bad: str) -> None:
    done = netspec("diff", good, bad)
    assert done.status == 1 and "NS201" in done.err and done.out == ""
    done = netspec("diff", good, "none.net")
    assert done.status == 2 and "NS001" in done.err


def test_shipped_specs(netspec: Command) -> None:
    done = netspec("diff", "zoo.resnet:resnet18", "zoo.resnet:resnet34")
    assert done.status == 0 and "parameters          11,689,512 ->    21,797,672" in done.out
    assert max(map(len, done.out.splitlines())) < 130


# -------------------------------------------------------------------------------------------------------------- revisions
def test_imports_come_from_the_revision(netspec: Command, repository: Path) -> None:
    done = netspec("diff", "HEAD~1:nets/main.net", "HEAD:nets/main.net")
    assert done.status == 0 and "~ linear1  features: 4 -> 8" in done.out.replace("unit1.", ""), done
    assert done.out.startswith("- HEAD~1:nets/main.net:main\n+ HEAD:nets/main.net:main\n")
    assert netspec("diff", "HEAD:nets/main.net:main", "HEAD:nets/main.net", "--exit-code").status == 0
    broken = netspec("diff", "HEAD:nets/main.net", "nets/main.net")
    assert broken.status == 1 and "blocks.net" in broken.err


def test_paths_are_from_where_one_stands(netspec: Command, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository / "nets")
    for path in ("main.net", "./main.net", "../nets/main.net", str(repository / "nets/main.net")):
        assert netspec("diff", f"HEAD:{path}", "HEAD:main.net", "--exit-code").status == 0, path


@pytest.mark.parametrize(
    ("spec", "code", "status"),
    [
        ("HEAD~9:nets/main.net", "NS024", 2),
        ("--all:nets/main.net", "NS015", 2),
        ("no such:nets/main.net", "NS024", 2),
        ("HEAD:nets/none.net", "NS001", 2),
        ("HEAD:../outside.net", "NS001", 2),
        ("HEAD:nets/link.net", "NS001", 2),
        ("HEAD:/etc/x.net", "NS001", 2),
        ("HEAD:nets/main.net:none", "NS010", 1),
        ("HEAD:main.txt", "NS001", 2),
    ],
)
def test_what_a_revision_has_not(netspec: Command, repository: Path, spec: str, code: str, status: int) -> None:
    done = netspec("diff", spec, "HEAD:nets/main.net")
    assert (done.status, done.out) == (status, "") and f"error[{code}]" in done.err, done


def test_an_import_that_the_revision_has_not(netspec: Command, repository: Path) -> None:
    Path("nets/lost.net").write_text(USES.replace("../parts/blocks.net", "later.net"))
    Path("nets/out.net").write_text(USES.replace("../parts", "../../parts"))
    git("add", "nets/lost.net", "nets/out.net")
    git("commit", "-qm", "three")
    Path("nets/later.net").write_text(BLOCKS)
    done = netspec("diff", "HEAD:nets/lost.net", "HEAD:nets/main.net")
    assert done.status == 1 and "HEAD:nets/later.net is not there" in done.err
    assert "NS009" in netspec("diff", "HEAD:nets/out.net", "HEAD:nets/main.net").err


def test_without_git_and_without_a_repository(netspec: Command, good: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if shutil.which("git"):
        monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
        done = netspec("diff", "HEAD:good.net", good)
        assert done.status == 2 and "NS023" in done.err and "not a git repository" in done.err
    monkeypatch.setenv("PATH", str(tmp_path))
    done = netspec("diff", "HEAD:good.net", good)
    assert done.status == 3 and "NS023" in done.err


def test_files_with_colons_in_their_names(netspec: Command) -> None:
    for name in ("HEAD:good.net", "a:b.net"):
        Path(name).write_text(GOOD)
        assert netspec("diff", name, f"{name}:good", "--exit-code").status == 0, name


@pytest.mark.skipif(os.name == "nt", reason="there, it is a path")
def test_paths_of_windows_are_no_revisions(netspec: Command) -> None:
    for spec in ("C:\\nets\\good.net", "C:/nets/good.net:good"):
        with pytest.raises(Refusal, match="NS001"):
            revision.open_any(spec)


# ---------------------------------------------------------------------------------------------------------------- pictures
@pytest.mark.parametrize("form", [".svg", ".png", ".dot", ".html"])
def test_a_picture(netspec: Command, good: str, form: str) -> None:
    Path("wider.net").write_text(GOOD.replace("conv(8, 3)", "conv(16, 3)"))
    done = netspec("diff", good, "wider.net", "-o", f"changes{form}")
    assert done.status == 0 and done.out == netspec("diff", good, "wider.net").out
    assert done.err.startswith(f"changes{form}: ") and "bytes" in done.err and Path(f"changes{form}").stat().st_size > 1000
    if form == ".svg":
        assert "channels 8 → 16" in Path("changes.svg").read_text()


def test_a_picture_with_json_and_a_depth(netspec: Command, good: str) -> None:
    done = netspec("diff", good, good, "--format", "json", "-o", "same.dot", "--depth", "1", "--rankdir", "LR", "--no-legend")
    assert done.status == 0 and done.data["same"] and "the same network" in Path("same.dot").read_text()


def test_pictures_that_cannot_be(netspec: Command, good: str) -> None:
    assert "NS015" in netspec("diff", good, good, "-o", "changes.gif").err
    assert "NS015" in netspec("diff", good, good, "-o", "changes.svg", "--depth", "-1").err
    Path("nets.net").write_text(NETS)
    done = netspec("diff", "nets.net", "nets.net", "-o", "changes.svg")
    assert done.status == 2 and "a picture shows one net, and these are 2: one, two" in done.err and not Path("changes.svg").exists()
    assert netspec("diff", "nets.net:one", "nets.net:one", "-o", "changes.dot").status == 0
