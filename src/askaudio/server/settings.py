"""Settings of the service: address, token, allowed hosts, and limits.

The defaults suit one person or a small studio. ``askaudio serve --help`` lists those that have an option.
"""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field
from pathlib import Path

from askaudio.core.errors import ConfigError

MIN_TOKEN_LENGTH = 16
TOKEN_VARIABLE = "ASKAUDIO_TOKEN"
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Settings of one service; the defaults serve one machine over loopback.

    Attributes:
        host: Address to bind to.
        port: TCP port.
        token: Secret that every request must send (``Authorization: Bearer``), or None for no check.
        allowed_hosts: Names beside loopback that a ``Host`` header may carry (no port).
        allowed_folders: Folders whose sounds are served beside those that were indexed on this machine.
        max_upload_bytes: Largest sound that may be sent as a query.
        max_uploads_bytes: Bytes of all sounds that are being sent at the same time.
        max_upload_s: Longest sound that may be sent as a query.
        decode_timeout_s: Time that decoding one file may take before the decoder is ended.
        decode_memory_bytes: Memory that one decoder process may take.
        decode_workers: Decoder processes at most.
        head_timeout_s: Time in which a request's first lines must have arrived.
        body_timeout_s: Time in which a request's body must have arrived.
        write_timeout_s: Time in which a client must have taken some of what is sent to it.
        rate_per_s: Requests a second that one address may make on average; 0 for no limit.
        rate_burst: Requests that one address may make at once.
        max_running: Searches that run at the same time.
        max_waiting: Searches that may wait for their turn; more are answered 503 at once.
        wait_timeout_s: Time that a search waits for its turn before it is answered 503.
        max_connections: Open connections at most; a new one takes the place of the slowest.
        peaks_cache_bytes: Memory that kept waveforms may take (about 1.4 kB each as the page asks for them).
        play_cache_bytes: Disk that decoded recordings may take, of formats that browsers do not play.
        shutdown_grace_s: Time that running requests get to finish when the service stops.
        reveal: Show files in the file manager of this machine, for requests from it only.
        mcp: Offer the tools of the Model Context Protocol at ``/v1/mcp`` (extra ``mcp``).
    """

    host: str = "127.0.0.1"
    port: int = 8765
    token: str | None = None
    allowed_hosts: tuple[str, ...] = ()
    allowed_folders: tuple[str, ...] = ()
    max_upload_bytes: int = 50 * 2**20
    max_uploads_bytes: int = 512 * 2**20
    max_upload_s: float = 300.0
    decode_timeout_s: float = 10.0
    decode_memory_bytes: int = 2**30
    decode_workers: int = 2
    head_timeout_s: float = 15.0
    body_timeout_s: float = 30.0
    write_timeout_s: float = 30.0
    rate_per_s: float = 200.0
    rate_burst: int = 600
    max_running: int = field(default_factory=lambda: max(1, min(4, os.cpu_count() or 1)))
    max_waiting: int = 128
    wait_timeout_s: float = 10.0
    max_connections: int = 512
    peaks_cache_bytes: int = 8 * 2**20
    play_cache_bytes: int = 2**30
    shutdown_grace_s: float = 10.0
    reveal: bool = False
    mcp: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ConfigError(f"port must be 0 to 65535, got {self.port}")
        if self.token is not None:
            check_token(self.token, "the token")
        for name in (
            "max_upload_bytes", "max_uploads_bytes", "max_upload_s", "decode_timeout_s", "decode_workers",
            "max_running", "max_connections", "head_timeout_s", "body_timeout_s", "write_timeout_s",
        ):  # fmt: skip
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} must be above 0, got {getattr(self, name)}")
        if self.reveal and not self.is_loopback:
            raise ConfigError(
                f"reveal works only on this machine, but the address is {self.host}; leave one of them out"
            )
        if self.rate_per_s < 0 or self.max_waiting < 0:
            raise ConfigError("rate_per_s and max_waiting must not be negative")

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the service."""
        try:
            return ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return self.host == "localhost"


def check_token(token: str, where: str) -> str:
    """The token as given, if it can be sent in a header and is long enough to resist guessing.

    Raises:
        ConfigError: Too short, or with characters other than visible ASCII. The message never shows the token.
    """
    if len(token) < MIN_TOKEN_LENGTH or not all("!" <= c <= "~" for c in token):
        raise ConfigError(
            f"{where} must have at least {MIN_TOKEN_LENGTH} visible ASCII characters and no spaces; make one with: "
            "python3 -c 'import secrets; print(secrets.token_urlsafe(32))' > token.txt"
        )
    return token


def read_token(token_file: Path | str | None = None) -> str | None:
    """The token from a file, else from the variable ASKAUDIO_TOKEN, else None (no token required).

    Raises:
        ConfigError: The file cannot be read, or what it holds is not usable as a token.
    """
    if token_file is not None:
        try:
            token = Path(token_file).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not plain ASCII text"
            raise ConfigError(f"cannot read the token file {token_file}: {reason}") from error
        return check_token(token, f"the token in {token_file}")
    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    return check_token(token, f"the token in {TOKEN_VARIABLE}") if token else None
