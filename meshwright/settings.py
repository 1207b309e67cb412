"""What a deployment decides: frozen, strict, read once from a mapping that is passed in.

Only `serve` and the CLI hand it `os.environ`. A misspelt `MESHWRIGHT_*` variable is an error at start, with the nearest
known name, because a setting that silently does nothing is found in the next incident.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

PREFIX = "MESHWRIGHT_"


class SettingsError(Exception):
    """A setting is unknown or wrong; the message names the variable and what it should be."""


def _split(value: Any) -> Any:
    return (
        tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value
    )


#: Nothing that a client would stumble over when it is used, and no password, which /readyz would show.
_ADDRESS = re.compile(r"https?://(\[[0-9a-f:.]+\]|[\w.-]+)(:(?P<port>\d{1,5}))?(/[^\s?#]*)?", re.IGNORECASE)


def http_address(value: str) -> str:
    """`value`, without a slash at its end. Raises ValueError for what is no address."""
    found = _ADDRESS.fullmatch(value)
    if found is None or int(found["port"] or 0) > 65_535:
        raise ValueError("must be an http:// or https:// address: host, port and path, nothing else")
    return value.rstrip("/")


Address = Annotated[str, AfterValidator(http_address)]
Addresses = Annotated[tuple[Address, ...], BeforeValidator(_split)]


class Settings(BaseModel):
    """Each field is the variable `MESHWRIGHT_<FIELD>`; times are in seconds, `retention` and `review_expires` in days, `review_due` in hours."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    port: int = Field(default=0, ge=0, le=65535)
    grpc_port: int = Field(default=0, ge=0, le=65535)
    public_url: Address | None = None
    peers: Addresses = ()
    tools: Addresses = ()
    home: Path = Path(".meshwright")
    database: str = ""
    shop: Path | None = None
    key: Path | None = None
    trust: Path | None = None
    policy: Path | None = None
    access: Path | None = None
    #: The audit log: the key that signs its checkpoints (else the process's own), where they go, the key of its hashes (both files else
    #: lie beside the database), and the seconds after which what is new gets a checkpoint.
    audit_key: Path | None = None
    audit_anchor: Path | None = None
    audit_secret: Path | None = None
    audit_every: float = Field(default=60.0, gt=0, le=86_400)
    deadline: float = Field(default=30.0, gt=0, le=3600)
    deadline_max: float = Field(default=120.0, gt=0, le=3600)
    #: How many agents may stand above one another in a chain of delegations.
    depth: int = Field(default=8, ge=1, le=32)
    lease: float = Field(default=3.0, ge=0.2, le=300)
    claims: int = Field(default=10, ge=1)
    grace: float = Field(default=8.0, ge=0, le=600)
    #: How long a start may take to open its connections before it is ready; 0 opens them when they are needed.
    warm: float = Field(default=0.0, ge=0, le=30)
    at_once: int = Field(default=400, ge=1)
    queue: int = Field(default=1000, ge=1)
    retention: float = Field(default=30.0, gt=0)
    #: Hours until a review of a low risk is escalated (half of that for a medium, a quarter for a high one); days until it expires.
    review_due: float = Field(default=24.0, gt=0)
    review_expires: float = Field(default=14.0, gt=0)
    webhooks: Annotated[tuple[str, ...], BeforeValidator(_split)] = ()
    #: Tokens for one request; the other budgets are 0 where there is no limit. Money is in micro-dollars, prices for a million tokens.
    budget_tokens: int = Field(default=50_000, gt=0)
    budget_micros: int = Field(default=0, ge=0)
    budget_call_tokens: int = Field(default=0, ge=0)
    budget_call_micros: int = Field(default=0, ge=0)
    budget_day_tokens: int = Field(default=0, ge=0)
    budget_day_micros: int = Field(default=0, ge=0)
    budget_tenant_tokens: int = Field(default=0, ge=0)
    budget_tenant_micros: int = Field(default=0, ge=0)
    price_in: int | None = Field(default=None, ge=0)
    price_out: int | None = Field(default=None, ge=0)
    hedge: bool = False
    refresh: float = Field(default=15.0, gt=0)
    max_body: int = Field(default=1_048_576, ge=1024)
    #: The console: who may log in (a file of names and hashes, `meshwright keys person` makes it). Where a trace can be looked at:
    #: an address with `{trace}` in it.
    console_users: Path | None = None
    trace_url: str = Field(default="", pattern=r"^(https?://[^\s]*\{trace\}[^\s]*)?$")
    model: str = ""
    model_url: str = ""
    model_key: str = Field(default="", repr=False)
    #: Where playbooks run: "task" or "process", empty as each agent says. What one of them in a process may use: MiB beyond what
    #: its agent has loaded, seconds of CPU, and seconds between its deadline and its end.
    isolation: str = Field(default="", pattern="^(task|process)?$")
    worker_memory: int = Field(default=512, ge=16)
    worker_cpu: int = Field(default=30, ge=1)
    kill_grace: float = Field(default=0.5, ge=0, le=60)
    #: Seconds that the event loop may stand still before the process ends; 0 for ever.
    watchdog: float = Field(default=10.0, ge=0, le=3600)
    log_format: str = Field(default="text", pattern="^(text|json)$")
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Settings:
        """Read `MESHWRIGHT_*` from a mapping. Raises SettingsError, which names the variable."""
        known = {PREFIX + name.upper(): name for name in cls.model_fields}
        values: dict[str, str] = {}
        for name, value in environ.items():
            if not name.upper().startswith(PREFIX):
                continue
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean {near[0]}?" if near else "known are " + ", ".join(sorted(known))
                raise SettingsError(f"unknown setting {name}: {hint}")
            if value != "":
                values[known[name]] = value
        try:
            settings = cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            name = PREFIX + str(first["loc"][0]).upper()
            why = first["msg"].removeprefix("Value error, ")
            given = re.sub(r"//[^/]*@", "//***@", str(first["input"]))  # not a password into a log
            raise SettingsError(f"{name}: {why} (it is {given[:80]!r})") from None
        limited = [name for name in cls.model_fields if name.endswith("_micros") and getattr(settings, name)]
        if settings.model and limited and None in (settings.price_in, settings.price_out):
            raise SettingsError(
                f"{PREFIX}{limited[0].upper()} needs {PREFIX}PRICE_IN and {PREFIX}PRICE_OUT: what a million tokens of"
                f" {settings.model} cost, in micro-dollars"
            )
        return settings

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the process."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def database_of(self, name: str) -> str:
        """Where the process `name` keeps what must last: the database that is set, else a file of its own in the home."""
        return self.database or f"sqlite:///{self.home / name}.db"

    def audit_files(self, name: str) -> tuple[Path, Path]:
        """Where the log of the process `name` keeps its checkpoints, and the key of its hashes."""
        file = self.database_of(name)
        folder = Path(file.removeprefix("sqlite:///")).parent if file.startswith("sqlite:///") else self.home
        return (
            self.audit_anchor or folder / f"audit-{name}.checkpoints",
            self.audit_secret or folder / f"audit-{name}.secret",
        )

    @property
    def shop_path(self) -> Path:
        return self.shop or self.home / "shop.db"
