"""The Jupyter project's own suite for kernels, fed with Rust cells."""

from __future__ import annotations

import jupyter_kernel_test as jkt
import pytest

import harness

# Its look at the history takes the last cells of all sessions for its own.
pytestmark = pytest.mark.alone


class ForklineKernelTests(jkt.KernelTests):
    kernel_name = harness.KERNEL_NAME
    language_name = "rust"
    file_extension = ".rs"

    code_hello_world = 'println!("hello, world");'
    code_stderr = 'eprintln!("to stderr");'

    completion_samples = [
        {"text": "let unmistakable_name = 1; unmistakable_na", "matches": {"unmistakable_name"}},
        {"text": "String::fro"},
        {"text": "%who"},
    ]

    complete_code_samples = ["", "1", "x + 1", "let x = 1;", "fn f() {}", 'println!("{");', "%who"]
    incomplete_code_samples = ["fn f() {", "let x = ", "foo(1,", "[1, 2", 'let s = "abc', "/* open"]
    invalid_code_samples = ["fn 1", ")", "let = 5;"]

    code_page_something = "?Vec::push"
    code_generate_error = 'let n: i32 = "text";'

    code_execute_result = [
        {"code": "1_234 + 4_321", "result": "5555"},
        {"code": 'String::from("abc")', "result": '"abc"'},
        {"code": 'Html("<b>bold</b>".into())', "result": "<b>bold</b>", "mime": "text/html"},
    ]
    code_history_pattern = "1_2?4 + 4_321*"
    supported_history_operations = ("tail", "range", "search")

    code_display_data = [
        {"code": 'display(&Html::new("<i>text</i>"));', "mime": "text/html"},
        {
            "code": 'println!("EVCXR_BEGIN_CONTENT text/html\\n<u>text</u>\\nEVCXR_END_CONTENT");',
            "mime": "text/html",
        },
    ]
    code_inspect_sample = "Vec::new"
    code_clear_output = "clear_output(true);"

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        # The suite allows 15 s for a request, and the first cell waits for the engine to warm up.
        cls.kc.execute_interactive("()", silent=True, timeout=harness.FIRST_CELL)


class ForklineIopubWelcomeTests(jkt.IopubWelcomeTests):
    kernel_name = harness.KERNEL_NAME
    support_iopub_welcome = True
