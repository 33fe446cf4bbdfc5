"""What holds for every command: its help, its examples, its JSON document, its errors."""

import json
import re
import shlex

import pytest

from devise import cli


@pytest.fixture
def lines(model, index, words_file, captions_file, picture_folder, tmp_path):
    """{command: arguments of a run that succeeds}."""
    picture = picture_folder / "cat" / "0.png"
    return {
        "fetch": [],
        "extract": [picture_folder, "-o", tmp_path / "features"],
        "train": [picture_folder, "--words", words_file, "--head", "ridge", "-o", tmp_path / "again"],
        "siamese": [picture_folder, "--validation", 2, "--test", 0, "--epochs", 1, "--classes", 2,
                    "-o", tmp_path / "learnt"],
        "captions": [picture_folder, "--captions", captions_file, "--words", words_file, "--epochs", 1,
                     "-o", tmp_path / "told"],
        "evaluate": [model],
        "index": [model, picture_folder, "--engine", "exact", "-o", tmp_path / "other"],
        "search": [index, "--text", "ocean", "-k", 3],
        "tag": [model, picture],
        "words": [words_file, "--near", "cat"],
        "similarity": [picture, picture_folder / "dog" / "1.png"],
        "recipe": ["hybrid", "--images", picture_folder, "--words", words_file, "--backbone", "thumbnail",
                   "--head", "ridge", "--seeds", 1, "--unseen", "horse", "-o", tmp_path / "results"],
        "bench": ["index", "-n", 300, "--dim", 8, "--engines", "exact"],
        "check": [model, index],
        "info": [],
        "completion": ["bash"],
    }


# the first three need a network of Keras, serve waits to be stopped
WITH_STUB = [name for name in cli.COMMANDS if name not in ("summary", "finetune", "export", "serve")]


@pytest.mark.parametrize("name", WITH_STUB)
def test_json_is_one_documented_document_and_all_there_is_on_stdout(name, lines, devise):
    ran = devise(name, *lines[name], "--json")
    assert ran.code == 0, ran.err
    document = json.loads(ran.out, parse_constant=lambda constant: pytest.fail(f"{constant} is not JSON"))
    told = set(re.findall(r'"(\w+)"', cli.command_parser(name).description))
    if name == "bench":  # beside what is told, each states what it was measured on
        told |= {"curve", "drawn", "k", "memory", "queries", "rounds", "seed", "threads",
                 "skipped"}
    assert set(document) <= told, f"devise {name} --help does not tell of {set(document) - told}"


@pytest.mark.parametrize("name", WITH_STUB)
def test_without_json_it_prints_text(name, lines, devise):
    ran = devise(name, *lines[name])
    assert ran.code == 0 and ran.out.strip()
    with pytest.raises(ValueError, match="Expecting value|Extra data"):
        json.loads(ran.out)
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_help_has_an_example_and_tells_of_json(name, devise):
    ran = devise(name, "--help")
    assert ran.code == 0 and f"example:\n  devise {name}" in ran.out
    assert "--json prints" in ran.out
    assert "%(" not in ran.out and max(map(len, ran.out.splitlines())) <= 110


def examples():
    for name in cli.COMMANDS:
        parser = cli.command_parser(name)
        for line in parser.epilog.splitlines()[1:]:
            yield name, line.strip()
    for line in cli.EXAMPLE.splitlines():
        yield line.split()[1], line.strip()


@pytest.mark.parametrize(("name", "line"), list(examples()))
def test_each_example_is_one_that_devise_takes(name, line):
    word, command, *rest = shlex.split(line)
    assert (word, command) == ("devise", name)
    assert cli.parse([command, *rest]).command == name


def test_the_help_lists_the_commands_in_the_order_of_the_pipeline(devise):
    shown = devise("--help").out
    pipeline = ("fetch", "extract", "train", "evaluate", "index", "search", "tag")
    places = [shown.index(f"\n  {name} ") for name in pipeline]
    assert places == sorted(places)
    assert all(f"\n  {name} " in shown for name in cli.COMMANDS)


@pytest.mark.parametrize(("argv", "said"), [
    ([], "expected a command: fetch, extract"),
    (["trian", "x"], "there is no command 'trian': did you mean train"),
    (["--jsn"], "there is no option '--jsn'"),
    (["evaluate", "model", "--jsno"], "there is no option '--jsno': did you mean --json?"),
    (["train", "x", "-o", "m", "--optimiser", "adma"], "--optimiser: there is no choice 'adma': did you mean adam?"),
    (["recipe", "hybird"], "there is no recipe 'hybird': did you mean hybrid?"),
    (["bench", "trian"], "there is no benchmark 'trian': did you mean train?"),
    (["evaluate"], "arguments are required: MODEL"),
    (["search", "index"], "one of the arguments --text --picture --word is required"),
    (["search", "index", "--text", "a", "-k", "0"], "'0' is not a whole number from 1"),
    (["search", "index", "--word", "a", "--save", "x.png"], "--save can't be used here"),
    (["tag", "model"], "expected the model's folder and then pictures"),
    (["tag", "model", "cat.png", "--backbone", "vgg16"], "--backbone can't be used here: the model has"),
    (["tag", "--rule", "softmax", "cat.png", "--candidates", "a,b"], "--candidates can't be used here"),
    (["train", "caltech37", "-o", "m", "--head", "ridge", "--batch-size", "8"], "leave out --batch-size"),
    (["train", "caltech37", "-o", "m", "--sizes", "2000,many"], "'many' is not a whole number"),
    (["index", "model", "pictures", "-o", "i", "--engine", "exact", "--trees", "9"], "belong to annoy"),
    (["index", "model", "pictures", "-o", "i", "--uri", "x.db"], "--uri belongs to milvus, the engine is auto"),
    (["recipe", "hybrid", "--unseen", "cat"], "--unseen can't be used here"),
    (["bench", "index", "--path", "x"], "the benchmark index has no --path"),
    (["bench", "serve", "-n", "3"], "the benchmark serve needs --path"),
    (["fetch", "--dim", "300"], "name what to fetch: caltech101"),
])
def test_wrong_usage_is_told_in_two_lines_with_exit_code_2(argv, said, devise, words_file):
    argv = [*argv, "--words", str(words_file)] if argv[:1] == ["train"] else argv
    ran = devise(*argv)
    assert ran.code == 2 and ran.out == ""
    assert said in ran.err and ran.err.startswith("devise")
    assert len(ran.err.splitlines()) <= 2


@pytest.mark.parametrize(("argv", "said"), [
    (["evaluate", "nowhere"], "nowhere holds no model"),
    (["search", "nowhere", "--text", "cat"], "nowhere holds no search"),
    (["words", "nowhere.txt"], "no word vectors at nowhere.txt: expected a file"),
    (["words", "--audit", "nowhere.txt"], "nowhere.txt: No such file"),
    (["fetch", "caltech102"], "there is no set 'caltech102': did you mean caltech101?"),
    (["extract", "nowhere"], "nowhere does not exist"),
])
def test_what_can_not_be_done_is_told_in_a_line_with_exit_code_1(argv, said, devise, stub, words_file):
    argv = ["words", str(words_file), *argv[1:]] if argv[:2] == ["words", "--audit"] else argv
    ran = devise(*argv)
    assert ran.code == 1 and ran.out == ""
    assert said in ran.err and len(ran.err.splitlines()) == 1


def test_debug_shows_the_traceback(devise):
    with pytest.raises(FileNotFoundError):
        devise("evaluate", "nowhere", "--debug")


def test_an_error_nobody_foresaw_names_its_type_and_hides_its_traceback(devise, monkeypatch, words_file):
    from devise import words

    monkeypatch.setattr(words, "open_words", lambda *args, **options: 1 / 0)
    ran = devise("words", words_file)
    assert ran.code == 1 and "Traceback" not in ran.err
    assert ran.err == "devise words: unexpected ZeroDivisionError: division by zero\n--debug shows where\n"


def test_control_c_says_how_to_go_on(devise, monkeypatch, words_file):
    from devise import words

    def stop(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(words, "open_words", stop)
    ran = devise("words", words_file)
    assert ran.code == 130 and "the same command starts anew" in ran.err and "Traceback" not in ran.err


def test_options_may_stand_between_the_arguments(devise, model, picture_folder):
    behind = devise("tag", model, picture_folder / "cat" / "0.png", "-k", "2")
    between = devise("tag", model, "-k", "2", picture_folder / "cat" / "0.png")
    assert between.code == 0 and between.out == behind.out
