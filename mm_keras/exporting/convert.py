"""Stand-alone script: converts a SavedModel of static batch 1 to TFLite with builtin operators alone.

Reads JSON from standard input: {"saved_model", "tflite", "result"}; writes JSON to `result`.
"""

import json
import re
import sys
from pathlib import Path

import tensorflow as tf

FLEX = re.compile(r"(?:Flex|TF Select) ops: ([\w, ]+)|'tf\.(\w+)' op is neither a custom op nor a flex op")


def main():
    task = json.load(sys.stdin)
    converter = tf.lite.TFLiteConverter.from_saved_model(
        task["saved_model"], signature_keys=["serving_default"]
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    try:
        contents = converter.convert()
    except Exception as error:  # The converter's error class differs between releases; all is reported.
        names = sorted({name for found in FLEX.findall(str(error)) for name in found if name})
        said = f"operators without a TFLite builtin: {', '.join(names)}" if names else str(error)[-2000:]
        fix = "Use other layers than those that give these operators, or drop tflite from export.formats."
        answer = {"error": said, "fix": fix}
    else:
        Path(task["tflite"]).write_bytes(contents)
        answer = {"bytes": len(contents)}
    Path(task["result"]).write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main()
