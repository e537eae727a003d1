"""Vector stores, one file per engine; all of them keep the contract of ``index.store``."""
