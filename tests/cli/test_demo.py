"""`captionary demo`: where it may write. What it does there is in demo/test_run.py."""

from pathlib import Path

from tests.cli.running import captionary


def test_a_folder_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("mine")

    answer = captionary("demo", "--out", tmp_path)

    assert (answer.code, answer.out) == (2, "")
    assert answer.err == (
        f"captionary: {tmp_path} holds something else than a demo; give another --out\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")

    answer = captionary("demo", "--out", tmp_path / "file")

    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"captionary: cannot write into {tmp_path / 'file'}: ")
    assert answer.err.count("\n") == 1


def test_an_encoder_that_knows_no_pictograms_is_refused(tmp_path: Path) -> None:
    answer = captionary("demo", "--out", tmp_path / "out", "--encoder", "ViT-B-16/openai")

    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("captionary: 'ViT-B-16/openai' does not know the demo's pictog")
    assert answer.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_foreign_about_is_no_demo(tmp_path: Path) -> None:
    (tmp_path / "ABOUT.txt").write_text("about me")

    answer = captionary("demo", "--out", tmp_path)

    assert answer.code == 2
    assert (tmp_path / "ABOUT.txt").read_text() == "about me"
