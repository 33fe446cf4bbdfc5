"""What holds for every command: its help, its examples, its JSON document, its errors."""

import importlib
import inspect
import json
import re
import shlex
import subprocess
import sys
from operator import attrgetter

import pytest

from devise import cli
from devise.cli import options


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
        "calibrate": [model, picture_folder, "-o", tmp_path / "sure"],
        "evaluate": [model],
        "index": [picture_folder, "--model", model, "--engine", "exact", "-o", tmp_path / "other"],
        "add": [index, picture],
        "remove": [index, picture],
        "sync": [index, "--yes"],
        "duplicates": [index],
        "search": [index, "--text", "ocean", "-k", 3],
        "tag": [picture, "--model", model],
        "words": [words_file, "--near", "cat"],
        "similarity": [picture, picture_folder / "dog" / "1.png", "--model", model],
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
def test_json_is_one_documented_document_and_all_there_is_on_stdout(name, lines, untrained, devise):
    ran = devise(name, *lines[name], "--json")
    assert ran.code == 0, ran.err
    document = json.loads(ran.out, parse_constant=lambda constant: pytest.fail(f"{constant} is not JSON"))
    told = set(re.findall(r'"(\w+)"', cli.command_parser(name).description)) | {"title", "trained", "facts", "tables",
                                                                               "pictures", "notes"}
    if name == "bench":  # beside what is told, each states what it was measured on
        told |= {"curve", "drawn", "k", "memory", "queries", "rounds", "seed", "threads",
                 "skipped"}
    assert set(document) <= told, f"devise {name} --help does not tell of {set(document) - told}"


# those that train print their text in tests of their own
@pytest.mark.parametrize("name", [name for name in WITH_STUB if name not in ("siamese", "captions")])
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
        for kind in (None, *cli.open_command(name).kinds):
            for line in cli.command_parser(name, kind).epilog.splitlines()[1:]:
                if not line.endswith("--help"):
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
    pipeline = ("fetch", "extract", "train", "evaluate", "index", "add", "search", "tag")
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
    (["search", "index", "dog"], "did you mean --text 'dog'?"),
    (["search", "flickr", "a", "dog"], "did you mean --text 'a dog'?"),
    (["search", "index", "--text", ""], "argument --text: '' is empty: expected TEXT"),
    (["search", "index", "--word", " "], "argument --word: ' ' is empty: expected WORD"),
    (["search", "index", "--text=a", "--save="], "argument --save: '' is empty: expected FILE"),
    (["search", "index", "--text", "a", "--save", "x.gif"], "x.gif ends in '.gif': expected .png, .jpg"),
    (["search", "index", "--text", "a", "--save", "sheet"], "sheet ends in 'nothing': expected .png"),
    (["index", "", "-o", "i"], "'' is empty: expected PICTURES"),
    (["index", "pictures", "-o", ""], "argument -o/--output: '' is empty: expected INDEX"),
    (["words", ""], "'' is empty: expected WORDS"),
    (["search", "", "--text", "a"], "'' is empty: expected INDEX"),
    (["train", "x", "-o", "m", "--unseen", ""], "--unseen: '' is empty"),
    (["search", "index", "--text", "a", "\x1b[31m", "--optin"], "there is no option '--optin'"),
    (["\x1b[31mred"], "there is no command '\\x1b[31mred'"),
    (["train", "x", "-o", "m", "--unsen", "cat"], "there is no option '--unsen': did you mean --unseen"),
    (["recipe"], "arguments are required: NAME"),
    (["recipe", "siamese", "--draws", "3"], "there is no option '--draws'"),
    (["search", "index", "--text", "a", "-k", "0"], "'0' is not a whole number from 1"),
    (["search", "index", "--word", "a", "--save", "x.png"], "--save can't be used here"),
    (["tag"], "arguments are required: PICTURES"),
    (["tag", "--rule", "softmax", "cat.png", "--candidates", "a,b"], "--candidates can't be used here"),
    (["train", "caltech37", "-o", "m", "--head", "ridge", "--batch-size", "8"], "--batch-size can't be used here: the"),
    (["train", "caltech37", "-o", "m", "--sizes", "2000,many"], "'many' is not a whole number"),
    (["index", "pictures", "-o", "i", "--engine", "exact", "--trees", "9"], "--trees belongs to annoy"),
    (["index", "pictures", "-o", "i", "--uri", "x.db"], "--uri belongs to lancedb or milvus, the engine is auto"),
    (["bench", "index", "--path", "x"], "there is no option '--path'"),
    (["bench", "serve", "-n", "3"], "arguments are required: --path"),
    (["fetch", "--dim", "300"], "name what to fetch: caltech101"),
])
def test_wrong_usage_is_told_in_two_lines_with_exit_code_2(argv, said, devise):
    ran = devise(*argv)
    assert ran.code == 2 and ran.out == ""
    assert said in ran.err and ran.err.startswith("devise")
    assert len(ran.err.splitlines()) <= 2


@pytest.mark.parametrize(("argv", "said"), [
    (["evaluate", "nowhere"], "nowhere does not exist: expected the folder of a model, everyday, conse or lift"),
    (["evaluate", "consa"], "consa does not exist: did you mean conse?"),
    (["search", "nowhere", "--text", "cat"], "nowhere does not exist: expected a folder that `devise index` wrote"),
    (["train", "nowhere", "-o", "m"], "nowhere does not exist"),
    (["index", "caltech73", "-o", "i"], "caltech73 does not exist: did you mean caltech37?"),
    (["tag", "nowhere.jpg"], "nowhere.jpg does not exist"),
    (["words", "nowhere.txt"], "nowhere.txt does not exist: expected a file of vectors, or glove-6b-50d"),
    (["words", "glove-6b-50"], "glove-6b-50 does not exist: did you mean glove-6b-50d"),
    (["index", ".", "-o", "i", "--words", "nowhere.vec"], "nowhere.vec does not exist"),
    (["train", ".", "-o", "i", "--synonyms", "nowhere"], "nowhere does not exist: expected a file with lines such as"),
    (["extract", ".", "--weights", "nowhere.h5"], "nowhere.h5 does not exist: expected a file of weights"),
    (["tag", ".", "--model", "~/nowhere"], "~/nowhere does not exist"),
    (["search", "~nobody-of-this-name/index", "--text", "a"], "~nobody-of-this-name/index does not exist"),
    (["words", "--audit", "nowhere.txt"], "nowhere.txt does not exist: expected a file with one label a line"),
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
    pictures = [picture_folder / "cat" / f"{number}.png" for number in range(2)]
    behind = devise("tag", *pictures, "--model", model, "-k", "2")
    between = devise("tag", pictures[0], "-k", "2", "--model", model, pictures[1])
    assert between.code == 0 and between.out == behind.out


def test_a_model_has_its_own_backbone(devise, model, picture_folder):
    ran = devise("tag", picture_folder / "cat" / "0.png", "--model", model, "--backbone", "vgg16")
    assert ran.code == 2 and "--backbone can't be used here: the model has its own" in ran.err


@pytest.mark.parametrize("argv", [["train", "nowhere", "-o", "m"], ["tag", "nowhere.jpg"], ["train", "--help"],
                                  ["index", "nowhere", "-o", "i"], ["recipe", "zeroshot", "--help"]])
def test_paths_are_looked_at_and_help_is_given_before_a_framework_is_loaded(argv):
    code = f"import sys; from devise import cli; cli.main({argv}); print({{'keras', 'tensorflow'}} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "set()"


def test_each_default_in_a_help_is_that_of_a_function_which_has_the_parameter():
    for name in cli.COMMANDS:
        for kind in (None, *cli.open_command(name).kinds):
            for action in cli.command_parser(name, kind)._actions:
                place, parameter = options.SOURCES.get(action, ("", ""))
                if place:
                    module, _, path = place.partition(":")
                    found = inspect.signature(attrgetter(path)(importlib.import_module(module)))
                    assert options.default(place, parameter) == found.parameters[parameter].default, (place, parameter)


def test_an_error_of_python_is_told_in_the_words_of_the_command_line():
    told = "ask for more with validation=, say batch_size=8, or Devise.load(folder, words=…)"
    assert options.typed(told) == "ask for more with --validation, say --batch-size 8, or Devise.load(folder, words=…)"


@pytest.mark.parametrize(("text", "said"), [
    ("would be lost: name another, or allow it with --overwrite (in Python overwrite=True)",
     "would be lost: name another, or allow it with --overwrite"),
    ("take runtime='function' or weights=\"random\"", "take --runtime function or --weights random"),
    ("leave them out with skip=1 and overwrite=True.", "leave them out with skip=1 and --overwrite."),
    ("choose one with `Devise.calibrate`, or by Devise.tag", "choose one with `devise calibrate`, or by `devise tag`"),
    ("call load(folder, words=…)", "call load(folder, words=…)")])
def test_pythons_words_are_not_said(text, said):
    assert options.typed(text) == said


def test_names_of_files_do_nothing_to_the_terminal(devise, stub, model, picture_folder, tmp_path):
    source = picture_folder / "cat" / "0.png"
    strange = ["new\nline.png", "red\x1b[31m.png", "eight\x9b31m.png", "turned\u202egnp.png"]
    for name in strange:
        source.with_name(name).write_bytes(source.read_bytes())
        source.with_name(f"broken {name}").write_text("no picture")
    ran = devise("index", picture_folder, "--model", model, "--engine", "exact", "-o", tmp_path / "strange")
    assert ran.code == 0 and not set(ran.err + ran.out) & set("\x1b\x9b\u202e")
    shown = devise("search", tmp_path / "strange", "--picture", source, "-k", "5")
    assert not set(shown.out) & set("\x1b\x9b\u202e") and "new line.png" in shown.out
    told = devise("search", tmp_path / "strange", "--picture", source, "-k", "5", "--json")
    assert not set(told.out) & set("\x1b\x9b\u202e")
    found = {match["path"] for match in json.loads(told.out)["results"][0]["matches"]}
    assert {f"cat/{name}" for name in strange} <= found
    lacking = devise("tag", tmp_path / "not\x1b[31m.png")
    assert lacking.code == 1 and "\x1b" not in lacking.err


@pytest.mark.parametrize("option", [["--text", "ocean"], ["--word", "ocean"]])
def test_a_word_that_only_others_place_is_said_to_be(devise, index, monkeypatch, option):
    monkeypatch.setattr("devise.words.auditing.RARE", 3)
    assert "rare word" not in devise("search", index, *option).out  # a noun that is known
    monkeypatch.setattr("devise.words.taxonomy.Taxonomy.senses_of", lambda self, word: ())
    shown = " ".join(devise("search", index, *option).out.split())
    assert "'ocean' is a rare word of words, found only through the words near it (" in shown


def test_what_a_folder_holds_is_called_as_people_call_it(devise, model):
    ran = devise("search", model, "--text", "cat")
    assert ran.code == 1 and f"{model} holds no index: expected the file search.json in it; it holds a model" in ran.err


@pytest.mark.parametrize("ending", ["png", "JPG", "jpeg", "pdf", "svg"])
def test_a_drawing_is_of_the_format_that_its_ending_says(devise, index, tmp_path, ending):
    starts = {"png": b"\x89PNG", "jpg": b"\xff\xd8\xff", "jpeg": b"\xff\xd8\xff", "pdf": b"%PDF", "svg": b"<?xml"}
    path = tmp_path / f"sheet.{ending}"
    for _ in range(2):
        ran = devise("search", index, "--text", "cat", "-k", "1", f"--save={path}")
        assert ran.code == 0, ran.err
    assert path.read_bytes().startswith(starts[ending.lower()])
    path.write_bytes(b"of somebody else")
    ran = devise("search", index, "--text", "cat", "--save", path)
    assert ran.code == 2 and "is there already" in ran.err and path.read_bytes() == b"of somebody else"


def test_a_tilde_is_the_home_wherever_a_path_is_given(devise, index, picture_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for argv in (["search", "~/index", "--text", "cat", "--save=~/sheet.png"],
                 ["search", f"~/{index.name}", "--picture=~/pictures/cat/0.png", "-k", "1"],
                 ["index", "~/pictures", "--model=~/model", "--engine", "exact", "--output=~/more"],
                 ["add", "~/more", "~/pictures/cat/0.png"], ["remove", "~/more", "~/pictures/cat/0.png"],
                 ["check", "~/more"], ["evaluate", "~/model"], ["tag", "~/pictures/dog/1.png", "--model", "~/model"]):
        ran = devise(*argv)
        assert ran.code == 0, (argv, ran.err)
    assert (tmp_path / "sheet.png").is_file() and (tmp_path / "more" / "search.json").is_file()
    assert not list(tmp_path.rglob("~"))


def test_without_a_home_that_can_be_written_questions_are_answered(devise, index, model, picture_folder, tmp_path,
                                                                   monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("DEVISE_HOME", str(tmp_path / "file" / "home"))
    ran = devise("search", index, "--text", "cat", "-k", "1")
    assert ran.code == 0 and "cat/" in ran.out and "can't be written" in ran.err and "Warning" not in ran.err
    ran = devise("index", picture_folder, "--model", model, "--engine", "exact", "-o", tmp_path / "other")
    assert ran.code == 0 and "the features are not kept" in ran.err
    monkeypatch.delenv("DEVISE_HOME")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # as where the system knows no home
    assert devise("info").code == 0


def test_a_label_that_is_added_is_the_class_that_it_means(devise, answer, index, picture_folder):
    added = picture_folder.parent / "one.png"
    added.write_bytes((picture_folder / "cat" / "0.png").read_bytes() + b" ")
    assert devise("add", index, added, "--label", "ＣＡＴ").code == 0
    best, = answer("search", index, "--picture", picture_folder / "cat" / "0.png", "-k", 1)["results"][0]["matches"]
    assert best["path"].endswith("one.png") and best["label"] == "cat"
