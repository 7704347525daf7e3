"""Proxies and certificates that the environment names, for one address, as arguments of an httpx client.

httpx would read the environment itself, but raises at proxies for other addresses, and at IPv6 ranges in ``NO_PROXY``.
Requests to this machine never go through a proxy.
"""

import os
import ssl
from collections.abc import Iterable
from importlib.util import find_spec
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.request import getproxies

import httpx

CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


def environment_options(url: httpx.URL) -> dict[str, Any]:
    """Return the arguments ``proxy``, ``verify`` and ``trust_env`` of an httpx client for this address.

    Raises:
        ValueError: A variable names a proxy or certificates that cannot be used; says which, and how to change it.
    """
    return {"trust_env": False, "proxy": proxy_for(url), "verify": _certificates() if url.scheme == "https" else False}


def proxy_for(url: httpx.URL) -> httpx.Proxy | None:
    """Return the proxy that the environment names for this address; ``None`` for none.

    Raises:
        ValueError: It is not one that httpx can use.
    """
    proxies = getproxies()
    source = next((scheme for scheme in (url.scheme, "all") if proxies.get(scheme)), None)
    if source is None or is_local(url.host) or bypasses_proxy(url, proxies.get("no", "").split(",")):
        return None
    address, variable = proxies[source], f"{source.upper()}_PROXY"
    change = f"change {variable}, unset it, or add {url.host} to NO_PROXY"
    try:
        proxy = httpx.Proxy(address if "://" in address else f"http://{address}")
    except (httpx.InvalidURL, ValueError) as err:
        raise ValueError(f"got {variable}={address!r}, which is not the address of a proxy ({err}): {change}") from err
    if proxy.url.scheme.startswith("socks") and find_spec("socksio") is None:
        raise ValueError(
            f"got {variable}={address!r}, a SOCKS proxy, for which a package is missing: "
            f"pip install 'httpx[socks]', or {change}"
        )
    return proxy


def bypasses_proxy(url: httpx.URL, exceptions: Iterable[str]) -> bool:
    """Return whether one of ``NO_PROXY``'s entries covers an address: a host, a domain, an IP range or ``*``."""
    for entry in (entry.strip().lower() for entry in exceptions):
        host, _, port = entry.rpartition(":") if entry.count(":") == 1 else (entry, "", "")
        if port and port != str(url.port or {"http": 80, "https": 443}[url.scheme]):
            continue
        domain = host.removeprefix("*.").lstrip(".")
        if entry == "*" or (domain and (url.host == domain or url.host.endswith(f".{domain}"))):
            return True
        if _in_range(url.host, host.strip("[]")):
            return True
    return False


def is_local(host: str) -> bool:
    """Return whether a host is this machine's loopback address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _in_range(host: str, entry: str) -> bool:
    try:
        return ip_address(host) in ip_network(entry, strict=False)
    except ValueError:  # a name
        return False


def _certificates() -> ssl.SSLContext:
    try:
        return httpx.create_ssl_context()
    except (OSError, ssl.SSLError) as err:
        variable = next((name for name in CERTIFICATES if os.environ.get(name)), None)  # httpx reads the first
        if variable is None:
            raise
        raise ValueError(
            f"got {variable}={os.environ[variable]!r}, from which no certificates can be read ({err}): "
            "change or unset it"
        ) from err
