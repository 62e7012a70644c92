"""The direction of imports, who may import TensorFlow, and how much a file holds; read with `ast`."""

import ast
from pathlib import Path

import pytest

PACKAGE = "mm_keras"
ROOT = Path(__file__).parents[1] / PACKAGE
LINES = 320
FOLDERS = ("data", "encoders", "fusion", "heads")
RANKS = {
    "checks": 0,
    **dict.fromkeys(("spec", "spec_data", "spec_modalities", "spec_outputs", "spec_places", "spec_file"), 1),
    **dict.fromkeys(("spec_errors", "spec_parts", "spec_augment", "spec_encoders", "spec_fusion"), 1),
    **dict.fromkeys(("mel_power", "pcen", "spec_balance", "hub"), 1),
    **dict.fromkeys(("log_mel", "frame_mask", "sequence_pooling", "applications", "attention_block"), 1),
    **dict.fromkeys(("token_search", "griffin_lim", "speech_frames", "vocoder", "html_page"), 1),
    **dict.fromkeys(
        ("answering_model", "caption_search", "generation", "generated_files", "answer_table"), 4
    ),
    **dict.fromkeys(("imputation", "synchrony", "synchrony_report"), 4),
    **dict.fromkeys((*FOLDERS, "strategy"), 2),
    **dict.fromkeys(("model", "model_heads"), 3),
    **dict.fromkeys(("run_folder", "training", "evaluation", "exporting", "prediction", "quickstart"), 4),
    "balance": 4,
    **dict.fromkeys(("answers", "overrides", "doctor_report", "benchmark_input", "benchmark_advice"), 4),
    "serving": 5,
    **dict.fromkeys(
        ("cli", "cli_answers", "cli_data", "console", "console_evaluation", "console_doctor", "progress"), 6
    ),
    **dict.fromkeys(("cli_synchrony", "cli_datasets", "cli_serving", "console_serving"), 6),
    **dict.fromkeys(
        ("console_answers", "console_training", "console_prepare", "console_bench", "console_avmnist"), 6
    ),
    **dict.fromkeys(("__init__", "__main__"), 6),
}
SAME_RANK = {1, 3, 4, 6}  # Elsewhere a part imports from its own folder alone.
TENSORFLOW = ("tensorflow", "tensorflow_text", "tensorflow_io")
WITH_TENSORFLOW = ("data", "strategy", "training", "evaluation", "exporting", "prediction", "serving")
WITH_TENSORFLOW += ("balance", "benchmark_input", "caption_search", "generation")
LATE_IMPORTS = ("cli", "cli_answers", "cli_data", "cli_datasets", "cli_serving", "cli_synchrony")
LATE_IMPORTS += ("__init__",)
PRINTS = ("cli", "cli_answers", "cli_data", "console")


def faults_of(root):
    """Returns what is wrong in the package at `root`, one line "path:line: what" each."""
    return [fault for path in sorted(root.rglob("*.py")) for fault in faults_of_file(path, root)]


def faults_of_file(path, root):
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    relative = path.relative_to(root)
    part = relative.parts[0].removesuffix(".py")
    if part not in RANKS:
        return [f"{relative}:1: `{part}` has no rank; give it one in RANKS"]
    found = [
        *import_faults(tree, part),
        *late_import_faults(tree, relative, part),
        *print_faults(tree, part),
        *class_faults(tree, relative),
    ]
    if len(text.splitlines()) > LINES:
        found.append((LINES, f"longer than {LINES} lines"))
    return [f"{relative}:{line}: {what}" for line, what in found]


def import_faults(tree, part):
    for line, module in imported_modules(tree):
        top, *rest = module.split(".")
        if top in TENSORFLOW and part not in WITH_TENSORFLOW:
            yield line, f"`{part}` imports {top}"
        if top != PACKAGE:
            continue
        other = rest[0] if rest and rest[0] != "__version__" else "__init__"
        if other not in RANKS:
            yield line, f"imports `{other}`, which has no rank"
        elif other != part and RANKS[other] >= RANKS[part] and not same_rank(part, other):
            yield line, f"`{part}` of rank {RANKS[part]} imports `{other}` of rank {RANKS[other]}"


def same_rank(part, other):
    return RANKS[part] == RANKS[other] and RANKS[part] in SAME_RANK


def imported_modules(tree):
    """Yields (line, module in full) of every import, `from mm_keras import spec` as mm_keras.spec."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield node.lineno, f"{PACKAGE}.relative"
            elif node.module == PACKAGE:
                yield from ((node.lineno, f"{PACKAGE}.{alias.name}") for alias in node.names)
            else:
                yield node.lineno, node.module


def late_import_faults(tree, relative, part):
    """Yields imports below a `def`, `if` or `try`: those stand at the top, but for a few that load late.

    At the top a package that may be missing is tried, with another import in its place.
    """
    if relative.parts == ("__init__.py",) or part in LATE_IMPORTS:
        return
    tries = [node for node in tree.body if isinstance(node, ast.Try)]
    optional = [node for node in tries if _names_import_error(node) and "tensorflow" not in ast.unparse(node)]
    top = {*tree.body, *(node for attempt in optional for node in attempt.body)}
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)) and node not in top:
            names = {alias.name.split(".")[0] for alias in node.names} | {getattr(node, "module", None)}
            if not (part == "data" and "tensorflow_io" in names):
                yield node.lineno, "an import that is not at the top of the file"


def _names_import_error(attempt):
    return all(getattr(handler.type, "id", None) == "ImportError" for handler in attempt.handlers)


def print_faults(tree, part):
    for node in ast.walk(tree):
        called = node.func if isinstance(node, ast.Call) else None
        if isinstance(called, ast.Name) and called.id == "print" and part not in PRINTS:
            yield node.lineno, "print outside cli.py and console.py"


def class_faults(tree, relative):
    if relative.parts[0] not in ("encoders", "fusion", "heads"):
        return
    public = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name[0] != "_"]
    for node in public[1:]:
        yield node.lineno, f"a second public class, {node.name}"


def test_the_package_keeps_its_architecture():
    assert faults_of(ROOT) == []


def test_every_rank_is_of_a_file_that_may_exist():
    assert set(WITH_TENSORFLOW) | set(PRINTS) | set(FOLDERS) <= set(RANKS)


SOUND = {
    "checks.py": "import difflib\n",
    "spec.py": "from mm_keras.checks import message\n",
    "data/pipeline.py": "import tensorflow as tf\nfrom mm_keras.data.decode import read\n",
    "data/decode.py": "def read():\n    import tensorflow_io as tfio\n    return tfio\n",
    "fusion/gated_fusion.py": "import keras\nclass GatedFusion:\n    pass\nclass _Gate:\n    pass\n",
    "model.py": "from mm_keras.fusion.gated_fusion import GatedFusion\n",
    "exporting/parity.py": "import tensorflow as tf\nfrom mm_keras import model\n",
    "quickstart.py": "from mm_keras.exporting import parity\n",
    "cli.py": "from mm_keras import __version__\ndef main():\n    import mm_keras.quickstart\n    print(1)\n",
    "__init__.py": "def __getattr__(name):\n    import importlib\n    return importlib.import_module(name)\n",
}


def plant(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def test_a_sound_package_has_no_faults(tmp_path):
    plant(tmp_path, SOUND)
    assert faults_of(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("checks.py", "from mm_keras.spec import Spec\n", "`checks` of rank 0 imports `spec` of rank 1"),
        ("data/pipeline.py", "import mm_keras.fusion\n", "`data` of rank 2 imports `fusion` of rank 2"),
        ("fusion/a.py", "from mm_keras import encoders\n", "`fusion` of rank 2 imports `encoders`"),
        ("model.py", "from mm_keras.training import fit\n", "`model` of rank 3 imports `training`"),
        ("serving/server.py", "import mm_keras\n", "`serving` of rank 5 imports `__init__`"),
        ("model.py", "from mm_keras import __version__\n", "`model` of rank 3 imports `__init__`"),
        ("model.py", "import tensorflow as tf\n", "`model` imports tensorflow"),
        ("fusion/a.py", "import keras, tensorflow_text\n", "`fusion` imports tensorflow_text"),
        ("cli.py", "def main():\n    from tensorflow import io\n", "`cli` imports tensorflow"),
        ("model.py", "def build():\n    import keras\n", "not at the top"),
        ("exporting/a.py", "try:\n    import tensorflow\nexcept ImportError:\n    pass\n", "not at the top"),
        ("exporting/a.py", "def f():\n    import tensorflow_io\n", "not at the top"),
        ("fusion/__init__.py", "def f():\n    import json\n", "not at the top"),
        ("heads/a.py", "class A:\n    pass\nclass B:\n    pass\n", "a second public class, B"),
        ("training.py", "def f():\n    print(1)\n", "print outside"),
        ("model.py", "x = 1\n" * (LINES + 1), f"longer than {LINES} lines"),
        ("model.py", "from . import spec\n", "`relative`, which has no rank"),
        ("model.py", "from mm_keras.utils import x\n", "`utils`, which has no rank"),
        ("utils.py", "", "`utils` has no rank"),
    ],
)
def test_a_planted_fault_is_found(name, text, fault, tmp_path):
    plant(tmp_path, {**SOUND, name: text})
    faults = faults_of(tmp_path)
    assert len(faults) == 1
    assert faults[0].startswith(name + ":")
    assert fault in faults[0]
