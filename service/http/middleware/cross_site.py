"""``CrossSiteGuard``: keeps pages of other sites from using a service that trusts everybody who reaches it.

A browser sends for any page what that page asks for, and says so: in ``Sec-Fetch-Site``, or without TLS in ``Origin``
alone. Programs that are no browser send neither. A request that may change something is refused if a page of another
origin sends it that ``cors_origins`` does not name.

A page can become one of our origin: its name leads to this machine for a moment (DNS rebinding). So where there are no
API keys, which it lacks, ``Host`` must be a name of ours. An address is none that others could lead here, and serves
health checks and whoever reaches us through a translation of addresses.
"""

import re
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import Forbidden
from service.settings import HttpSettings

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OURS = frozenset({"same-origin", "none"})
"""Values of ``Sec-Fetch-Site``: a page of ours, or a person who typed the address."""

PROBES = frozenset({"/healthz", "/readyz"})
"""Orchestrators may ask them under any name; they tell nothing that is worth a page's trouble."""

HOST = re.compile(r"(\[[^\]]+\]|[^:\[\]]+)(:\d*)?")


class CrossSiteGuard:
    """Refuses what pages of other sites send, and other hosts' names."""

    def __init__(self, app: ASGIApp, settings: HttpSettings) -> None:
        """Wrap ``app``."""
        self._app = app
        self._origins = frozenset(settings.cors_origins)
        self._names = frozenset({settings.host.lower(), *settings.allowed_hosts})
        self._any_name = bool(settings.api_keys) or "*" in settings.allowed_hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request.

        Raises:
            Forbidden: A page of another site sent it, or a name in ``Host`` may be one of another site.
        """
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            if not self._any_name and scope["path"] not in PROBES:
                self._check_host(headers.get("host", ""))
            if scope["method"] not in SAFE_METHODS:
                self._check_origin(headers.get("sec-fetch-site"), headers.get("origin", ""), headers.get("host", ""))
        await self._app(scope, receive, send)

    def _check_host(self, host: str) -> None:
        match = HOST.fullmatch(host)
        name = match[1].lower().removesuffix(".") if match else ""
        if host and name not in self._names and not _leads_nowhere_else(name):
            raise Forbidden(
                f"the header Host is {host!r:.100}, which is not known to be this service:"
                " STYLIZE_ALLOWED_HOSTS lists its names besides addresses and localhost, and with STYLIZE_API_KEYS any"
                " name will do"
            )

    def _check_origin(self, site: str | None, origin: str, host: str) -> None:
        if site in OURS or "*" in self._origins or origin.lower() in self._origins:
            return
        if site is None and (not origin or origin.lower().partition("://")[2] == host.lower()):
            return
        raise Forbidden(
            f"a page of {origin or 'another site'!r:.100} sent this, and Host is {host!r:.100}: STYLIZE_CORS_ORIGINS"
            " names the origins whose pages may; a proxy must leave Host as it is"
        )


def _leads_nowhere_else(name: str) -> bool:
    """Tell whether a name is localhost or an address, which no DNS entry can lead elsewhere."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
