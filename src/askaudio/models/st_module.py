"""Old home of the sentence-transformers module: folders saved before name this path in their ``modules.json``."""

from askaudio.interop.sentence_transformers_module import *  # noqa: F403
