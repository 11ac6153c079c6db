"""Which remote paths may be asked for: a transport checks each before it goes over the wire.

A path is the operator's directory and a file name of ours. Whatever a customer number holds, it must not lead out
of the directory, end a line of a text protocol, or mean something else to another kind of server.
"""

from __future__ import annotations

from billing_pipeline.delivery.transports.protocol import NameRefused


def checked_path(path: str) -> str:
    """The path itself, if it is absolute, plain and printable.

    Raises: NameRefused for an empty, `.` or `..` component, a backslash, a control character, or a lone surrogate.
    """
    components = path.split("/")[1:]
    plain = path.startswith("/") and path.isprintable() and "\\" not in path
    # "/" alone, an inbox at the root, has one empty component.
    if not plain or (path != "/" and any(component in {"", ".", ".."} for component in components)):
        raise NameRefused(
            f"the remote path {path!r} is refused: it must be absolute, without '..', empty parts, backslashes and "
            "control characters; check BILLING_REMOTE_DIR and its siblings"
        )
    return path
