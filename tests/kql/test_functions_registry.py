"""The registry as data: documented, callable, and never at odds with what is refused."""

import subprocess
import sys

import pytest

from scripts.kql_matrix import TARGET, matrix
from shared.kql.functions import REFUSED, REGISTRY
from shared.kql.functions.macros import MACROS
from shared.kql.functions.registry import Function, FunctionKind
from tests.kql.functions_harness import Recorder, call, text

FUNCTIONS = sorted(
    {function.name: function for function in REGISTRY.all().values()}.values(), key=lambda each: each.name
)


def test_the_support_matrix_is_current():
    assert TARGET.read_text(encoding="utf-8") == matrix(), "run: python -m scripts.kql_matrix"


def test_no_function_is_both_supported_and_refused():
    assert not REGISTRY.all().keys() & REFUSED.keys()


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_every_entry_says_what_it_does_and_orders_its_parameters(function: Function):
    assert function.summary.endswith((".", ")"))
    assert function.returns
    optional = [parameter.optional or parameter.variadic for parameter in function.parameters]
    assert optional == sorted(optional), "required parameters come first"
    assert not any(parameter.variadic for parameter in function.parameters[:-1])
    assert (function.auto_name is not None) == (function.kind is FunctionKind.AGGREGATE)


def test_macros_are_sent_once_and_after_those_they_call():
    recorder = Recorder()
    REGISTRY.by_name["tobool"].emit(recorder, [text("x")])
    names = [macro.split("MACRO ")[1].split("(")[0] for macro in recorder.macros if "x" in macro]
    assert len(names) == len(set(names))
    recorder = Recorder()
    MACROS.require(recorder, "kql_text_bool")
    order = [macro.split("MACRO ")[1].split("(")[0] for macro in recorder.macros]
    assert order.index("kql_wrap_long") < order.index("kql_text_long") < order.index("kql_text_bool")


def test_text_with_quotes_and_nul_stays_text():
    assert call("strcat", text("it's \0 '' x"), text("")) == "it's \0 '' x"
    assert call("tolower", text("'; DROP TABLE t; --")) == "'; drop table t; --"


def test_importing_the_functions_loads_nothing_heavy():
    code = "import sys, shared.kql.functions.registry, shared.kql.functions as f; print(sorted({'duckdb','pyarrow','pydantic','azure','numpy'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
