"""The examples in the docstrings of the first names that users meet are run as they are printed."""

import doctest
import importlib

import pytest

MODULES = {
    "askaudio.ask.objective": "ASK",
    "askaudio.data.manifest": "Manifest",
    "askaudio.data.near_misses": "near_misses",
    "askaudio.data.phrases": "split_phrases",
    "askaudio.data.readers.folder": "caption_from_name",
    "askaudio.data.readers.open": "open_dataset",
    "askaudio.evaluation.compare": "compare",
    "askaudio.evaluation.evaluate": "evaluate",
    "askaudio.evaluation.relevance": "Relevance",
    "askaudio.evaluation.run": "Run",
    "askaudio.knowledge.base.knowledge_base": "KnowledgeBase",
    "askaudio.losses.ntxent": "NTXent",
    "askaudio.models.dual_encoder": "DualEncoder",
}


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_run(name):
    module = importlib.import_module(name)
    tests = [test for test in doctest.DocTestFinder().find(module) if test.examples]
    assert f"{name}.{MODULES[name]}" in {test.name for test in tests}
    runner = doctest.DocTestRunner(verbose=False)
    for test in tests:
        runner.run(test)
    assert runner.summarize(verbose=False).failed == 0
